//! Debian's Firefox without a window on a host of a test LAN, driven by Marionette (its own remote protocol, which needs no
//! driver program).

use std::{
    fs,
    io::{Read, Write},
    net::TcpStream,
    sync::Mutex,
    time::Duration,
};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{netns::Host, process::Process, wait::wait_some};

/// One window; closed when dropped.
pub struct Firefox {
    wire: Mutex<Wire>,
    process: Process,
    _profile: TempDir,
}

struct Wire {
    stream: TcpStream,
    last: u64,
}

/// Quiet: nothing but what the test asks for goes to the network.
const PREFS: &[(&str, &str)] = &[
    ("marionette.port", "2828"),
    ("browser.shell.checkDefaultBrowser", "false"),
    ("datareporting.policy.dataSubmissionEnabled", "false"),
    ("app.update.enabled", "false"),
    ("browser.startup.page", "0"),
    ("browser.newtabpage.enabled", "false"),
    ("network.captive-portal-service.enabled", "false"),
    ("network.connectivity-service.enabled", "false"),
    ("extensions.systemAddon.update.enabled", "false"),
    ("services.settings.server", "\"data:,#\""),
    ("browser.safebrowsing.downloads.remote.enabled", "false"),
    ("toolkit.telemetry.unified", "false"),
    ("trailhead.firstrun.didSeeAboutWelcome", "true"),
];

impl Firefox {
    /// With a fresh profile and these further preferences: names and values as in `user.js`.
    #[track_caller]
    pub fn start(host: &Host, prefs: &[(&str, &str)]) -> Self {
        let profile = tempfile::Builder::new()
            .prefix("granary-firefox-")
            .tempdir()
            .expect("the temporary folder is writable");
        let lines: String = PREFS
            .iter()
            .chain(prefs)
            .map(|(name, value)| format!("user_pref(\"{name}\", {value});\n"))
            .collect();
        fs::write(profile.path().join("user.js"), lines).expect("the test's own folder is writable");
        let mut command = host.command("timeout");
        command.args([
            "--foreground",
            "-k",
            "3",
            "900",
            "firefox-esr",
            "--headless",
            "--marionette",
            "--remote-allow-system-access",
        ]);
        command.args(["--no-remote", "--profile"]).arg(profile.path());
        command
            .env("HOME", profile.path())
            .env("MOZ_DISABLE_AUTO_SAFE_MODE", "1");
        let mut process = host.start_command("firefox", &mut command);
        let stream = wait_some("Firefox to listen", Duration::from_secs(60), || {
            if let Some(status) = process.ended() {
                panic!("firefox ended with {status}: {}", process.output());
            }
            host.within(|| TcpStream::connect("127.0.0.1:2828").ok())
        });
        let _ = stream.set_read_timeout(Some(Duration::from_secs(120)));
        let mut wire = Wire { stream, last: 0 };
        wire.read();
        let firefox = Self {
            wire: Mutex::new(wire),
            process,
            _profile: profile,
        };
        firefox.must("WebDriver:NewSession", &json!({}));
        firefox.must(
            "WebDriver:SetTimeouts",
            &json!({"pageLoad": 60_000, "script": 60_000}),
        );
        firefox
    }

    /// Opens a page; what Firefox says when it cannot.
    pub fn try_open(&self, url: &str) -> Result<(), String> {
        self.call("WebDriver:Navigate", &json!({ "url": url })).map(drop)
    }

    #[track_caller]
    pub fn open(&self, url: &str) {
        self.must("WebDriver:Navigate", &json!({ "url": url }));
    }

    #[track_caller]
    pub fn title(&self) -> String {
        let reply = self.must("WebDriver:GetTitle", &json!({}));
        reply["value"].as_str().unwrap_or_default().into()
    }

    /// Runs an async function body with the browser's own rights; `arguments` ends with the function that takes its value.
    #[track_caller]
    pub fn privileged(&self, script: &str, args: &Value) -> Value {
        self.must("Marionette:SetContext", &json!({"value": "chrome"}));
        let reply = self.must(
            "WebDriver:ExecuteAsyncScript",
            &json!({"script": script, "args": args}),
        );
        self.must("Marionette:SetContext", &json!({"value": "content"}));
        reply["value"].clone()
    }

    #[track_caller]
    fn must(&self, name: &str, params: &Value) -> Value {
        self.call(name, params)
            .unwrap_or_else(|err| panic!("{name} {params}: {err}"))
    }

    fn call(&self, name: &str, params: &Value) -> Result<Value, String> {
        let mut wire = self.wire.lock().unwrap_or_else(|err| err.into_inner());
        wire.call(name, params)
    }
}

impl Wire {
    fn call(&mut self, name: &str, params: &Value) -> Result<Value, String> {
        self.last += 1;
        let text = json!([0, self.last, name, params]).to_string();
        self.stream
            .write_all(format!("{}:{text}", text.len()).as_bytes())
            .map_err(|err| err.to_string())?;
        loop {
            let reply = self.read();
            if reply[0] == 1 && reply[1] == self.last {
                return match &reply[2] {
                    Value::Null => Ok(reply[3].clone()),
                    err => Err(err["message"].as_str().unwrap_or_default().into()),
                };
            }
            if reply.is_null() {
                return Err("Firefox hung up".into());
            }
        }
    }

    /// `LENGTH:JSON`; `Null` when the connection has ended.
    fn read(&mut self) -> Value {
        let mut length = 0;
        let mut byte = [0];
        while self.stream.read_exact(&mut byte).is_ok() {
            if byte[0] == b':' {
                let mut text = vec![0; length];
                let whole = self.stream.read_exact(&mut text);
                return whole
                    .ok()
                    .and_then(|()| serde_json::from_slice(&text).ok())
                    .unwrap_or_default();
            }
            length = length * 10 + usize::from(byte[0].wrapping_sub(b'0'));
            if length > 100_000_000 {
                break;
            }
        }
        Value::Null
    }
}

impl Drop for Firefox {
    fn drop(&mut self) {
        let _ = self.call("Marionette:Quit", &json!({"flags": ["eForceQuit"]}));
        let _ = self.process.wait(Duration::from_secs(5));
    }
}
