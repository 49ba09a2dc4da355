//! The list of devices.

use lan::api::DeviceFacts;
use maud::{Markup, html};

use crate::{
    admin::look::{self, words},
    api::lan::DeviceView,
};

const PER_PAGE: usize = 20;
/// Characters shown of what a device calls itself.
const NAME_MAX: usize = 60;
/// Addresses shown of one device.
const ADDRS_MAX: usize = 4;

/// What people call it; else its address.
pub fn name(device: &DeviceFacts) -> String {
    match (&device.name, device.addrs.first(), &device.mac) {
        (Some(name), ..) if !name.is_empty() => words::short(name, NAME_MAX),
        (_, Some(addr), _) => addr.to_string(),
        (.., Some(mac)) => words::short(mac, 20),
        _ => "A device".into(),
    }
}

/// How it finds the box, in words; the surest first.
pub fn ways(view: &DeviceView) -> Vec<String> {
    let device = &view.facts;
    let mut ways = Vec::new();
    if let Some(secs) = device.dns_secs_ago {
        let how = if device.dns_encrypted {
            "asks the box for names, encrypted"
        } else {
            "asks the box for names"
        };
        ways.push(format!("{how} (last {} ago)", words::span(secs)));
    }
    for (secs, how) in [
        (view.host_secs_ago, "opens the box’s sites by their names"),
        (view.proxy_secs_ago, "uses the proxy"),
        (view.pac_secs_ago, "fetches the script for automatic proxies"),
    ] {
        ways.extend(secs.map(|secs| format!("{how} (last {} ago)", words::span(secs))));
    }
    if device.looked_up_wpad {
        ways.push("looked for an automatic proxy by name".into());
    }
    if device.asked_wpad {
        ways.push("asked for an automatic proxy when it got its address".into());
    }
    match device.lease_ends_in_secs {
        Some(secs) if secs > 0 => ways.push(format!(
            "has its address from the box, for another {}",
            words::span(secs.unsigned_abs())
        )),
        Some(_) => ways.push("had its address from the box".into()),
        None => {}
    }
    ways
}

pub fn draw(devices: &[DeviceView], page: usize, find: &str) -> Markup {
    let wanted = find.to_lowercase();
    let mut shown: Vec<&DeviceView> = devices
        .iter()
        .filter(|device| fits(&device.facts, &wanted))
        .collect();
    shown.sort_by_cached_key(|device| {
        let device = &device.facts;
        (
            device.name.is_none(),
            name(device).to_lowercase(),
            device.addrs.first().copied(),
        )
    });
    let pages = shown.len().div_ceil(PER_PAGE).max(1);
    let page = page.min(pages - 1);
    let asked = devices
        .iter()
        .filter(|device| device.facts.dns_secs_ago.is_some())
        .count() as u64;
    html! {
        h1 { "Devices" }
        p.lead { (words::count(devices.len() as u64, "device is", "devices are")) " known in this home; " (words::grouped(asked)) " of them asked the box for names." }
        @if devices.len() > PER_PAGE || !find.is_empty() {
            form.ask action="/devices" method="get" {
                label for="find" { "Find" } input #find type="search" name="find" value=(find) autocomplete="off";
                button type="submit" { "Find" }
            }
        }
        @if devices.is_empty() { p { "None was seen yet. Devices stand here as soon as they ask the box for something, or talk to it." } }
        @else if shown.is_empty() { p { "No device fits." } }
        ul.cards { @for device in shown.iter().skip(page * PER_PAGE).take(PER_PAGE) { (card(device)) } }
        (look::pager(page, pages, |page| to(page, find)).unwrap_or_default())
        p.hint { "This is kept in memory and gone after a restart; only names and choices you write down stay. Which sites a device opens is not kept." }
    }
}

fn to(page: usize, find: &str) -> String {
    let find: String = form_urlencoded::byte_serialize(find.as_bytes()).collect();
    match find.as_str() {
        "" => format!("/devices?page={}", page + 1),
        find => format!("/devices?page={}&find={find}", page + 1),
    }
}

fn fits(device: &DeviceFacts, wanted: &str) -> bool {
    let has = |text: &str| text.to_lowercase().contains(wanted);
    wanted.is_empty()
        || device.name.as_deref().is_some_and(has)
        || device.mac.as_deref().is_some_and(has)
        || device.addrs.iter().any(|addr| has(&addr.to_string()))
}

fn card(view: &DeviceView) -> Markup {
    let (device, ways) = (&view.facts, ways(view));
    html! {
        li {
            p {
                strong { @match &device.mac {
                    Some(mac) => a href=(format!("/devices/{}", words::short(mac, 20))) { (name(device)) },
                    None => (name(device)),
                } }
                @if device.bypass { " – left alone" }
            }
            p.soft { (addrs(device)) }
            @if ways.is_empty() { p { "Does not use the box." } }
            @else { p { (words::sentence(&ways.join("; "))) } }
        }
    }
}

/// Addresses and hardware address, on one line.
pub fn addrs(device: &DeviceFacts) -> Markup {
    html! {
        @for (index, addr) in device.addrs.iter().take(ADDRS_MAX).enumerate() { @if index > 0 { ", " } (addr) }
        @if device.addrs.len() > ADDRS_MAX { ", …" }
        @if let Some(mac) = &device.mac { @if !device.addrs.is_empty() { " · " } (words::short(mac, 20)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn phone() -> DeviceView {
        let facts = DeviceFacts {
            mac: Some("aa:bb:cc:dd:ee:ff".into()),
            addrs: vec!["192.168.1.30".parse().expect("an address")],
            name: Some("Anna's <phone>".into()),
            dns_secs_ago: Some(5),
            dns_queries: 12,
            ..DeviceFacts::default()
        };
        DeviceView {
            facts,
            ..DeviceView::default()
        }
    }

    #[test]
    fn a_device_says_how_it_finds_the_box() {
        let mut device = phone();
        assert_eq!(ways(&device), ["asks the box for names (last 5 seconds ago)"]);
        device.facts.lease_ends_in_secs = Some(7_200);
        device.facts.dns_encrypted = true;
        device.proxy_secs_ago = Some(60);
        let said = ways(&device);
        assert_eq!(said.len(), 3);
        assert!(
            said[1].contains("uses the proxy") && said[2].contains("2 hours"),
            "{said:?}"
        );
        let text = draw(&[device, DeviceView::default()], 0, "").into_string();
        assert!(
            text.contains("Anna's &lt;phone&gt;") && text.contains("Does not use the box"),
            "{text}"
        );
    }

    #[test]
    fn many_devices_are_searched_and_turned_over() {
        let many: Vec<DeviceView> = (0..50)
            .map(|n| {
                let mut device = phone();
                device.facts.name = Some(format!("Device {n:02}"));
                device
            })
            .collect();
        let first = draw(&many, 0, "").into_string();
        assert!(first.contains("Device 00") && !first.contains("Device 20"));
        assert!(
            draw(&many, 9, "").into_string().contains("Device 49"),
            "beyond the end is the last page"
        );
        assert!(draw(&many, 0, "device 4").into_string().contains("Device 41"));
        assert!(draw(&many, 0, "nobody").into_string().contains("No device fits"));
    }
}
