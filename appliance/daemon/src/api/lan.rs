//! The lan half, for programs: what it does, what the household chose, what is seen on the LAN.
//!
//! Changes are kept for one undo, like those of the pages.

use std::{collections::HashSet, convert::Infallible};

use lan::{
    api::{DeviceFacts, Devices, Saved, Status, Survey, Top},
    settings::Settings,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    operation::{Call, Nothing},
    refusal::Refusal,
};
use crate::{
    arrangement::Refused,
    gateway::{Seen, Ways},
};

pub async fn status(call: Call, _: Nothing, _: Nothing) -> Result<Status, Refusal> {
    Ok(call.handles.home.status().await?)
}

pub async fn settings(call: Call, _: Nothing, _: Nothing) -> Result<Settings, Refusal> {
    Ok(call.handles.home.settings().await?)
}

pub async fn set_settings(call: Call, _: Nothing, settings: Settings) -> Result<Saved, Refusal> {
    let edit = |_: &Settings| Ok::<_, Infallible>(settings);
    match call.handles.arrangement.change("Set by a program", edit).await {
        Ok(saved) => Ok(saved),
        Err(Refused::Home(err)) => Err(err.into()),
        Err(Refused::Wrong(never)) => match never {},
    }
}

pub async fn undo(call: Call, _: Nothing, _: Nothing) -> Result<Saved, Refusal> {
    let undone = call.handles.arrangement.undo().await?;
    undone.ok_or_else(|| Refusal::unknown("nothing was changed yet"))
}

pub async fn devices(call: Call, _: Nothing, _: Nothing) -> Result<Vec<DeviceView>, Refusal> {
    let devices = call.handles.home.devices().await?;
    Ok(merged(devices, &call.handles.seen))
}

/// One device, as both halves know it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, JsonSchema)]
pub struct DeviceView {
    #[serde(flatten)]
    pub facts: DeviceFacts,
    /// Seconds since it fetched the script for automatic proxies.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pac_secs_ago: Option<u64>,
    /// Since it used the proxy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proxy_secs_ago: Option<u64>,
    /// Since it came by one of our names without the proxy: its resolver knows the box.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host_secs_ago: Option<u64>,
}

/// The lan half's devices with what the gateway saw of them, and those that only the gateway saw. This machine is none.
pub fn merged(devices: Devices, seen: &Seen) -> Vec<DeviceView> {
    let mut known = HashSet::new();
    let mut all: Vec<DeviceView> = Vec::new();
    for facts in devices.devices {
        let mut view = DeviceView::default();
        for addr in &facts.addrs {
            known.insert(*addr);
            view.came(&seen.ways(*addr));
        }
        all.push(DeviceView { facts, ..view });
    }
    for (addr, ways) in seen.list() {
        if addr.is_loopback() || known.contains(&addr) {
            continue;
        }
        let facts = DeviceFacts {
            addrs: vec![addr],
            ..DeviceFacts::default()
        };
        let mut view = DeviceView {
            facts,
            ..DeviceView::default()
        };
        view.came(&ways);
        all.push(view);
    }
    all
}

impl DeviceView {
    /// The later of two counts.
    fn came(&mut self, ways: &Ways) {
        for (known, new) in [
            (&mut self.pac_secs_ago, ways.pac),
            (&mut self.proxy_secs_ago, ways.proxy),
            (&mut self.host_secs_ago, ways.host),
        ] {
            let new = new.map(|at| at.elapsed().as_secs());
            *known = (*known).into_iter().chain(new).min();
        }
    }
}

/// The last look at the LAN.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Looked {
    /// A look that a page began is under way.
    looking: bool,
    /// When it was, in seconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    at: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    survey: Option<Survey>,
}

pub async fn seen(call: Call, _: Nothing, _: Nothing) -> Result<Looked, Refusal> {
    let seen = call.handles.arrangement.seen();
    let (at, survey) = seen.survey.unzip();
    Ok(Looked {
        looking: seen.looking,
        at,
        survey,
    })
}

pub async fn survey(call: Call, _: Nothing, _: Nothing) -> Result<Survey, Refusal> {
    Ok(call.handles.arrangement.survey().await?)
}

/// How long nothing is blocked.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Pause {
    /// 0 ends the pause; at most 86400.
    secs: u64,
}

pub async fn pause(call: Call, _: Nothing, pause: Pause) -> Result<Status, Refusal> {
    if pause.secs > 86_400 {
        return Err(Refusal::unacceptable("a pause lasts at most 86400 seconds"));
    }
    Ok(call.handles.home.pause(pause.secs).await?)
}

pub async fn top(call: Call, _: Nothing, _: Nothing) -> Result<Top, Refusal> {
    Ok(call.handles.home.top().await?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_both_halves_know_of_a_device_stands_in_one_place() {
        let seen = Seen::default();
        let addr = |text: &str| text.parse().expect("an address");
        seen.note(addr("192.168.1.30"), crate::gateway::Way::Proxy);
        seen.note(addr("192.168.1.40"), crate::gateway::Way::Pac);
        seen.note(addr("127.0.0.1"), crate::gateway::Way::Pac);
        let phone = DeviceFacts {
            mac: Some("aa:bb:cc:dd:ee:ff".into()),
            addrs: vec![addr("fd00::30"), addr("192.168.1.30")],
            ..DeviceFacts::default()
        };
        let all = merged(Devices { devices: vec![phone] }, &seen);
        assert_eq!(all.len(), 2, "{all:?}");
        assert_eq!((all[0].proxy_secs_ago, all[0].pac_secs_ago), (Some(0), None));
        assert_eq!(all[1].facts.addrs, [addr("192.168.1.40")]);
        assert!(all[1].pac_secs_ago.is_some());
    }
}
