//! Devices: each device of this home, how it finds the box, what it is called, whether it is left alone.
//!
//! Reading order: this file, `list`, `one`.

pub mod list;
pub mod one;

use lan::{
    api::DeviceFacts,
    settings::{Settings, parse_mac},
};

use super::{Answer, Visit, household};
use crate::{
    admin::form::Form,
    api::lan::{DeviceView, merged},
};

pub async fn show(visit: Visit<'_>) -> Answer {
    let (devices, settings) = match both(&visit).await {
        Ok(both) => both,
        Err(answer) => return answer,
    };
    match visit.rest {
        [] => {
            let body = list::draw(
                &devices,
                visit.page(),
                visit.query.text("find").unwrap_or_default(),
            );
            Answer::page("Devices", body)
        }
        [mac] => match find(&devices, &settings, mac) {
            Some(device) => {
                let typed = one::Typed::of(&device.facts, &settings);
                let token = visit.owner().then(|| visit.token());
                Answer::page(list::name(&device.facts), one::draw(&device, &typed, token))
            }
            None => Answer::nowhere(),
        },
        _ => Answer::nowhere(),
    }
}

/// Name, bypass and reservation of one device.
pub async fn act(visit: Visit<'_>, form: &Form) -> Answer {
    let [mac] = visit.rest else {
        return Answer::nowhere();
    };
    let (devices, settings) = match both(&visit).await {
        Ok(both) => both,
        Err(answer) => return answer,
    };
    let Some(device) = find(&devices, &settings, mac) else {
        return Answer::nowhere();
    };
    let mut typed = one::Typed::from(form);
    let mac = device.facts.mac.clone().unwrap_or_default();
    let done = household::change(
        &visit,
        &format!("Device {}", list::name(&device.facts)),
        |before| typed.read(&mac, before),
    )
    .await;
    match household::done(done, "/devices", "Saved. It counts from now on.") {
        Ok(answer) => answer,
        Err(errors) => {
            typed.errors = errors;
            let body = one::draw(&device, &typed, Some(visit.token()));
            Answer::refused(&list::name(&device.facts), body)
        }
    }
}

async fn both(visit: &Visit<'_>) -> Result<(Vec<DeviceView>, Settings), Answer> {
    let handles = visit.handles;
    let devices = handles
        .home
        .devices()
        .await
        .map_err(|err| household::unavailable(&err))?;
    Ok((merged(devices, &handles.seen), household::settings(visit).await?))
}

/// A device that is here, or one that is not but has a name in the settings.
fn find(devices: &[DeviceView], settings: &Settings, mac: &str) -> Option<DeviceView> {
    let wanted = parse_mac(mac)?;
    let is = |text: &str| parse_mac(text) == Some(wanted);
    let here = devices
        .iter()
        .find(|device| device.facts.mac.as_deref().is_some_and(is));
    here.cloned().or_else(|| {
        let known = settings.devices.iter().find(|device| is(&device.mac))?;
        let facts = DeviceFacts {
            mac: Some(known.mac.clone()),
            name: (!known.name.is_empty()).then(|| known.name.clone()),
            bypass: known.bypass,
            ..DeviceFacts::default()
        };
        Some(DeviceView {
            facts,
            ..DeviceView::default()
        })
    })
}
