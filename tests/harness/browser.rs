//! A real browser: Debian's Chromium without a window, driven by chromedriver (W3C WebDriver).

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    http,
    netns::Host,
    process::{Process, bounded, free_port},
    wait::wait_for,
};

/// One browser window; closed when dropped.
pub struct Browser {
    driver: Process,
    addr: SocketAddr,
    session: String,
    place: Option<Host>,
    _profile: TempDir,
}

impl Browser {
    /// A fresh profile that knows nothing but a PAC file.
    #[track_caller]
    pub fn with_pac(pac_url: &str) -> Self {
        Self::start(&[format!("--proxy-pac-url={pac_url}")])
    }

    #[track_caller]
    pub fn start(args: &[String]) -> Self {
        Self::launch(None, args)
    }

    /// On a host of a test LAN, with that host's network and resolver.
    #[track_caller]
    pub fn start_on(host: &Host, args: &[String]) -> Self {
        Self::launch(Some(host.clone()), args)
    }

    #[track_caller]
    fn launch(place: Option<Host>, args: &[String]) -> Self {
        let profile = tempfile::Builder::new()
            .prefix("granary-browser-")
            .tempdir()
            .expect("the temporary folder is writable");
        let port = free_port();
        let mut command = match &place {
            Some(host) => {
                let mut command = host.command("timeout");
                command.args(["--foreground", "-k", "3", "900", "chromedriver"]);
                command
            }
            None => bounded("chromedriver"),
        };
        command.arg(format!("--port={port}"));
        let driver = Process::start("chromedriver", &mut command, &profile.path().join("driver.log"));
        let addr = SocketAddr::from(([127, 0, 0, 1], port));
        wait_for("chromedriver to listen", Duration::from_secs(30), || {
            let ready = || http::get(addr, "/status", &[]);
            at(place.as_ref(), ready).is_ok_and(|r| r.json()["value"]["ready"] == true)
        });
        let mut all = vec![
            "--headless=new".to_string(),
            // Root may not use the sandbox; the pages are the test's own.
            "--no-sandbox".into(),
            "--disable-gpu".into(),
            "--disable-dev-shm-usage".into(),
            "--autoplay-policy=no-user-gesture-required".into(),
            format!("--user-data-dir={}", profile.path().join("profile").display()),
        ];
        all.extend_from_slice(args);
        let body = json!({"capabilities": {"alwaysMatch": {
            "browserName": "chrome",
            "timeouts": {"script": 90_000, "pageLoad": 90_000},
            "goog:chromeOptions": {"binary": "/usr/bin/chromium", "args": all},
        }}});
        let reply = at(place.as_ref(), || call(addr, "POST", "/session", &body));
        let session = reply["sessionId"]
            .as_str()
            .unwrap_or_else(|| panic!("no browser session: {reply}"))
            .into();
        Self {
            driver,
            addr,
            session,
            place,
            _profile: profile,
        }
    }

    /// Opens a page and waits until it is loaded.
    #[track_caller]
    pub fn open(&self, url: &str) {
        self.command("POST", "/url", &json!({ "url": url }));
    }

    /// As the reload button does.
    #[track_caller]
    pub fn reload(&self) {
        self.command("POST", "/refresh", &json!({}));
    }

    /// The page's whole text as a reader sees it.
    #[track_caller]
    pub fn text(&self) -> String {
        let text = self.eval("return document.body ? document.body.innerText : ''");
        text.as_str().unwrap_or_default().into()
    }

    #[track_caller]
    pub fn title(&self) -> String {
        let title = self.eval("return document.title");
        title.as_str().unwrap_or_default().into()
    }

    /// Runs a function body in the page; its return value comes back.
    #[track_caller]
    pub fn eval(&self, script: &str) -> Value {
        self.command("POST", "/execute/sync", &json!({"script": script, "args": []}))
    }

    /// Runs an async function body in the page: `done(value)` ends it.
    #[track_caller]
    pub fn eval_async(&self, script: &str) -> Value {
        let script = format!("const done = arguments[arguments.length - 1];\n{script}");
        self.command("POST", "/execute/async", &json!({"script": script, "args": []}))
    }

    /// Writes into the field that a person would find by this label.
    #[track_caller]
    pub fn fill(&self, label: &str, value: &str) {
        let done = self.eval(&format!(
            "const label = [...document.querySelectorAll('label')].find(l => l.innerText.includes({label}));
             const field = label && document.getElementById(label.htmlFor);
             if (field) {{ field.value = {value} }}
             return !!field",
            label = json!(label),
            value = json!(value),
        ));
        assert!(
            done == true,
            "no field is labelled {label:?} on:\n{}",
            self.text()
        );
    }

    /// Presses the button, or follows the link, with exactly these words, and waits for the page behind it.
    #[track_caller]
    pub fn press(&self, words: &str) {
        let done = self.eval(&format!(
            "window.left = false;
             const said = e => (e.getAttribute('aria-label') || e.innerText).trim();
             const all = [...document.querySelectorAll('button, a')];
             const found = all.find(e => said(e) === {words} || e.innerText.trim() === {words});
             if (found) {{ found.click() }}
             return !!found",
            words = json!(words),
        ));
        assert!(done == true, "nothing is called {words:?} on:\n{}", self.text());
        wait_for("the next page", Duration::from_secs(30), || {
            self.eval("return window.left !== false && document.readyState === 'complete'") == true
        });
    }

    /// The whole page, however long, as `target/screens/NAME-WIDTH-SCHEME.png` for 320 and 1200 pixels, light and dark.
    #[track_caller]
    pub fn whole_screens(&self, name: &str) {
        for width in [320, 1200] {
            for scheme in ["light", "dark"] {
                self.emulate(width, 800, scheme);
                self.capture(&format!("{name}-{width}-{scheme}"));
            }
        }
    }

    /// As it comes out of a printer, to `target/screens/NAME-print.png`.
    #[track_caller]
    pub fn print_screen(&self, name: &str) {
        self.emulate(794, 1123, "light");
        self.devtools("Emulation.setEmulatedMedia", &json!({"media": "print"}));
        self.capture(&format!("{name}-print"));
        self.devtools("Emulation.setEmulatedMedia", &json!({"media": ""}));
    }

    fn capture(&self, file: &str) {
        let size =
            self.eval("const page = document.documentElement; return [window.innerWidth, page.scrollHeight]");
        let clip = json!({"x": 0, "y": 0, "width": size[0], "height": size[1], "scale": 1});
        let shot = self.devtools(
            "Page.captureScreenshot",
            &json!({"captureBeyondViewport": true, "clip": clip}),
        );
        let png = data_encoding::BASE64
            .decode(shot["data"].as_str().unwrap_or_default().as_bytes())
            .expect("a screenshot is base64");
        std::fs::write(screens_dir().join(format!("{file}.png")), png)
            .expect("the target folder is writable");
    }

    /// Writes what the window shows to `target/screens/NAME-WIDTH-SCHEME.png` for 320 and 1200 pixels, light and dark.
    #[track_caller]
    pub fn screens(&self, name: &str) {
        for (width, height) in [(320, 700), (1200, 800)] {
            for scheme in ["light", "dark"] {
                self.emulate(width, height, scheme);
                let shot = self.command("GET", "/screenshot", &Value::Null);
                let png = data_encoding::BASE64
                    .decode(shot.as_str().unwrap_or_default().as_bytes())
                    .expect("a screenshot is base64");
                let path = screens_dir().join(format!("{name}-{width}-{scheme}.png"));
                std::fs::write(&path, png).expect("the target folder is writable");
            }
        }
    }

    /// Whether something on the page is wider than the window of the last [`Browser::emulate`].
    #[track_caller]
    pub fn scrolls_sideways(&self) -> bool {
        let wide =
            self.eval("return document.documentElement.scrollWidth > document.documentElement.clientWidth");
        wide == true
    }

    /// What axe-core finds against WCAG 2.2 AA on the page as it is now: one line per finding, empty when all is well.
    #[track_caller]
    pub fn barriers(&self) -> Vec<String> {
        let path = crate::foreign::cache_dir().join("npm/node_modules/axe-core/axe.min.js");
        let axe = std::fs::read_to_string(path).expect("tests/setup.sh installs axe-core");
        let run = "axe.run(document, {runOnly: ['wcag2a', 'wcag2aa', 'wcag21aa', 'wcag22aa']})
            .then(r => done(r.violations.flatMap(v => v.nodes.map(n =>
                v.id + ': ' + n.html + ' ' + n.any.map(a => a.message).join('; ')))))
            .catch(e => done([String(e)]))";
        let found = self.eval_async(&format!("if (!window.axe) {{ {axe} }}\n{run}"));
        let lines = found.as_array().expect("axe answers with a list").iter();
        lines
            .map(|line| line.as_str().unwrap_or_default().into())
            .collect()
    }

    /// Window size in CSS pixels and colour scheme.
    #[track_caller]
    pub fn emulate(&self, width: u32, height: u32, scheme: &str) {
        let metrics = json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": false});
        self.devtools("Emulation.setDeviceMetricsOverride", &metrics);
        let media = json!({"features": [{"name": "prefers-color-scheme", "value": scheme}]});
        self.devtools("Emulation.setEmulatedMedia", &media);
    }

    fn devtools(&self, method: &str, params: &Value) -> Value {
        let body = json!({"cmd": method, "params": params});
        self.command("POST", "/goog/cdp/execute", &body)
    }

    #[track_caller]
    fn command(&self, method: &str, path: &str, body: &Value) -> Value {
        let path = format!("/session/{}{path}", self.session);
        at(self.place.as_ref(), || call(self.addr, method, &path, body))
    }

    /// Opens a page; what Chromium says when it cannot.
    pub fn try_open(&self, url: &str) -> Result<(), String> {
        let path = format!("/session/{}/url", self.session);
        let reply = at(self.place.as_ref(), || {
            try_call(self.addr, "POST", &path, &json!({ "url": url }))
        });
        reply.map(drop)
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // Chromium outlives a chromedriver that is only killed.
        let path = format!("/session/{}", self.session);
        let _ = at(self.place.as_ref(), || {
            http::request(self.addr, "DELETE", &path, &[], &[])
        });
        // SIGTERM reaches the driver through timeout(1), which SIGKILL would orphan.
        self.driver.signal(rustix::process::Signal::TERM);
        let _ = self.driver.wait(Duration::from_secs(3));
    }
}

/// Where screenshots are left for a person to look at.
pub fn screens_dir() -> PathBuf {
    let me = std::env::current_exe().expect("a running test has a path");
    let target = me.ancestors().nth(3).unwrap_or(Path::new("."));
    let dir = target.join("screens");
    std::fs::create_dir_all(&dir).expect("the target folder is writable");
    dir
}

fn at<T: Send>(place: Option<&Host>, work: impl FnOnce() -> T + Send) -> T {
    match place {
        Some(host) => host.within(work),
        None => work(),
    }
}

#[track_caller]
fn call(addr: SocketAddr, method: &str, path: &str, body: &Value) -> Value {
    try_call(addr, method, path, body).unwrap_or_else(|err| panic!("{method} {path}: {err}"))
}

fn try_call(addr: SocketAddr, method: &str, path: &str, body: &Value) -> Result<Value, String> {
    let bytes = if body.is_null() {
        Vec::new()
    } else {
        body.to_string().into_bytes()
    };
    let json = [("content-type", "application/json")];
    let reply =
        http::request(addr, method, path, &json, &bytes).map_err(|err| format!("chromedriver: {err:#}"))?;
    let value = reply.json()["value"].clone();
    if reply.status == 200 {
        Ok(value)
    } else {
        Err(value.to_string())
    }
}
