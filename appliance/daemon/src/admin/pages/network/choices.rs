//! The ways in which a home can find the box: what each changes, what it costs when the box is unplugged, how to undo it.

use lan::{
    api::{DhcpState, Status, Survey},
    settings::{DhcpMode, Settings},
};
use maud::{Markup, html};

use crate::admin::look::{self, words};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Choice {
    Router,
    Lease,
    Inform,
    Announce,
    Nothing,
    /// Ends [`Choice::Announce`] and nothing else.
    Hush,
}

impl Choice {
    /// Those that the page lists.
    pub const LISTED: [Choice; 5] = [
        Choice::Router,
        Choice::Lease,
        Choice::Inform,
        Choice::Announce,
        Choice::Nothing,
    ];

    pub fn read(text: &str) -> Option<Self> {
        let mut all = Self::LISTED.into_iter().chain([Choice::Hush]);
        all.find(|choice| choice.word() == text)
    }

    pub fn word(self) -> &'static str {
        match self {
            Choice::Router => "router",
            Choice::Lease => "lease",
            Choice::Inform => "inform",
            Choice::Announce => "announce",
            Choice::Nothing => "nothing",
            Choice::Hush => "hush",
        }
    }

    pub fn title(self) -> &'static str {
        match self {
            Choice::Router => "Tell the router",
            Choice::Lease => "The box hands out addresses",
            Choice::Inform => "Answer only who asks for a proxy",
            Choice::Announce => "Announce the box over IPv6",
            Choice::Nothing => "Nothing by itself",
            Choice::Hush => "Stop announcing over IPv6",
        }
    }

    /// For whom it is.
    fn about(self) -> &'static str {
        match self {
            Choice::Router => {
                "One value in the router, and all devices open .btlink sites. For most homes the best way."
            }
            Choice::Lease => {
                "The box takes over from the router who gets which address, and tells every device where it is. For routers that cannot be told."
            }
            Choice::Inform => {
                "Windows asks for proxy settings by itself; the box then answers. Addresses stay the router’s. An experiment: not every version listens."
            }
            Choice::Announce => {
                "The box is named as a further resolver over IPv6; the router stays the way to the Internet. For experts."
            }
            Choice::Nothing => {
                "Only devices that you set up one by one find the box. Its name for browsers stays."
            }
            Choice::Hush => "",
        }
    }

    /// What an unplugged box costs, as it was measured.
    pub fn unplugged(self, second: bool) -> &'static str {
        match (self, second) {
            (Choice::Router, _) => {
                "If the router sends only .btlink names here: nothing that could be measured; .btlink sites show an error after 2 to 4 seconds. If it names the box as resolver with itself as the second one: 7 to 14 seconds of waiting for every new name."
            }
            (Choice::Lease, true) => {
                "Devices keep their address until it runs out. Every new name waits 7 to 14 seconds, then the second resolver answers."
            }
            (Choice::Lease, false) => {
                "No name opens any more until the box is back; after a day devices also lose their address."
            }
            (Choice::Inform, _) => {
                "Ordinary sites: nothing that could be measured. A browser that starts looks 1 to 3 seconds for the proxy file, once."
            }
            (Choice::Announce, _) => {
                "Until the announcement runs out, every new name may wait 7 to 14 seconds on devices that ask the box first."
            }
            (Choice::Nothing | Choice::Hush, _) => "Nothing.",
        }
    }

    /// In force now?
    pub fn is_on(self, settings: &Settings) -> bool {
        match self {
            Choice::Lease => settings.dhcp.mode == DhcpMode::Lease,
            Choice::Inform => settings.dhcp.mode == DhcpMode::Inform,
            Choice::Announce => settings.ra.enabled,
            // These two change nothing on the box: the router tells them apart.
            Choice::Router | Choice::Hush => false,
            Choice::Nothing => settings.dhcp.mode == DhcpMode::Off && !settings.ra.enabled,
        }
    }

    /// The settings it means. `second`: hand out the router as a second resolver.
    pub fn apply(self, before: &Settings, second: Option<std::net::Ipv4Addr>) -> Settings {
        let mut settings = before.clone();
        match self {
            Choice::Router | Choice::Nothing => {
                settings.dhcp.mode = DhcpMode::Off;
                settings.ra.enabled = false;
            }
            Choice::Lease => {
                settings.dhcp.mode = DhcpMode::Lease;
                settings.dhcp.second_resolver = second;
                // With the box as everybody's resolver a browser that goes around it finds no .btlink.
                settings.dns.canary_firefox = true;
            }
            Choice::Inform => settings.dhcp.mode = DhcpMode::Inform,
            Choice::Announce => settings.ra.enabled = true,
            Choice::Hush => settings.ra.enabled = false,
        }
        settings
    }

    /// What will change, a sentence each.
    fn changes(self, before: &Settings) -> Vec<String> {
        let domain = &before.names.domain;
        let mut changes: Vec<String> = match self {
            Choice::Router => vec!["On the box: nothing new is sent into the network. You change one value in the router; the guide says which.".into()],
            Choice::Lease => vec![
                "The box looks whether anybody else hands out addresses. Only if nobody does, it begins; switch it off in the router first.".into(),
                "Devices get their address, the router, this box as resolver, the domain ".to_owned() + domain + ", and the proxy file.",
                "Each device changes over when it connects again or renews: within a day.".into(),
                "Firefox is asked to use this home’s resolver.".into(),
            ],
            Choice::Inform => vec![
                "Devices that have an address and ask for further settings are told where the proxy file is. Addresses stay as they are.".into(),
                "Monitoring programs may call it a foreign DHCP server, which it is.".into(),
            ],
            Choice::Announce => vec![
                "Every few minutes the box announces itself as a resolver over IPv6, and says that it is not a way to the Internet.".into(),
                "Devices then ask this box and the resolver of the router, some of them this box first.".into(),
            ],
            Choice::Nothing => vec!["The box no longer announces anything but its name.".into()],
            Choice::Hush => Vec::new(),
        };
        if matches!(self, Choice::Router | Choice::Inform | Choice::Nothing)
            && before.dhcp.mode == DhcpMode::Lease
        {
            changes.push("The box stops handing out addresses: switch that on in the router again. Addresses given so far count until they run out.".into());
        }
        if matches!(self, Choice::Router | Choice::Nothing | Choice::Hush) && before.ra.enabled {
            changes.push("The box says goodbye over IPv6: devices forget it as resolver at once.".into());
        }
        changes
    }

    fn undo(self) -> &'static str {
        match self {
            Choice::Router => "Change the value in the router back.",
            Choice::Lease => {
                "Press “Undo” on the page Network, and switch handing out addresses on in the router again."
            }
            Choice::Inform | Choice::Announce | Choice::Nothing | Choice::Hush => {
                "Press “Undo” on the page Network. Or pull the plug."
            }
        }
    }
}

/// Why lease mode cannot begin now: who answers.
pub fn rival(status: &Status, survey: Option<&Survey>) -> Option<String> {
    let surveyed = survey.into_iter().flat_map(|survey| &survey.dhcp_servers);
    let heard: &[_] = match status.dhcp.state {
        DhcpState::Silent => &status.dhcp.rivals,
        _ => &[],
    };
    let server = surveyed.chain(heard).next()?;
    let who = match (server.server, &server.mac) {
        (Some(addr), Some(mac)) => format!("{addr} (hardware address {})", words::short(mac, 20)),
        (Some(addr), None) => addr.to_string(),
        (None, Some(mac)) => format!("A device with the hardware address {}", words::short(mac, 20)),
        (None, None) => "Somebody".into(),
    };
    let router = survey.and_then(|survey| survey.gateway);
    let what = if server.server.is_some() && server.server == router {
        ", your router,"
    } else {
        ""
    };
    Some(format!(
        "{who}{what} hands out addresses. Switch that off there, then look again here."
    ))
}

/// The list on the Network page. `token`: present for whoever may choose.
pub fn draw(settings: &Settings, survey: Option<&Survey>, token: Option<&str>) -> Markup {
    let router = survey.is_some_and(|survey| survey.router_forwards || survey.handed_out_as_resolver);
    html! {
        h2 { "How devices find the box" }
        ul.cards {
            @for choice in Choice::LISTED {
                @let on = choice.is_on(settings) && !(choice == Choice::Nothing && router) || choice == Choice::Router && router;
                li {
                    p { strong { (choice.title()) } @if on { " – " strong { "● now" } } }
                    p { (choice.about()) }
                    p.soft { "When the box is unplugged: " (choice.unplugged(settings.dhcp.second_resolver.is_some() || choice != Choice::Lease)) }
                    @if token.is_some() {
                        div.deeds {
                            @if choice == Choice::Router { a.button.quiet href="/network/guide" { "Show how" } }
                            @if choice == Choice::Router && !Choice::Nothing.is_on(settings) { a.button.quiet href="/network/choose/router" { "Stop all else …" } }
                            @if !on && choice != Choice::Router { a.button.quiet href=(format!("/network/choose/{}", choice.word())) { (choice.title()) " …" } }
                            @if on && choice == Choice::Announce { a.button.quiet href="/network/choose/hush" { "Stop announcing …" } }
                        }
                    }
                }
            }
        }
    }
}

/// The page that asks before anything changes. `blocked`: why it cannot be done now.
pub fn ask(
    choice: Choice,
    settings: &Settings,
    survey: Option<&Survey>,
    blocked: Option<&str>,
    token: &str,
) -> Markup {
    let gateway = survey.and_then(|survey| survey.gateway);
    html! {
        h1 { (choice.title()) "?" }
        @if let Some(why) = blocked { div.errors role="alert" { h2 { "Not now" } p { (why) } } }
        h2 { "What will change" }
        ul { @for change in choice.changes(settings) { li { (change) } } }
        h2 { "What it costs when the box is unplugged" }
        @if choice == Choice::Lease {
            p { "Without a second resolver: " (choice.unplugged(false)) }
            p { "With one: " (choice.unplugged(true)) " While the box is on, some devices ask the second one now and then, and do not find .btlink sites with it." }
        } @else { p { (choice.unplugged(true)) } }
        h2 { "How to undo it" }
        p { (choice.undo()) }
        form action=(format!("/network/choose/{}", choice.word())) method="post" {
            (look::hidden("token", token))
            @if choice == Choice::Lease && blocked.is_none() {
                div.field {
                    input.check id="second" type="checkbox" name="second" value="1" checked[settings.dhcp.second_resolver.is_some()] disabled[gateway.is_none() && settings.dhcp.second_resolver.is_none()];
                    label.inline for="second" { "Hand out the router as a second resolver" @if let Some(addr) = gateway { " (" (addr) ")" } }
                }
            }
            div.deeds {
                @if blocked.is_none() { button type="submit" { "Yes, do it" } }
                a.button.quiet href="/network" { @if blocked.is_none() { "No, go back" } @else { "Go back" } }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use lan::api::DhcpServer;

    use super::*;

    #[test]
    fn each_choice_means_its_settings_and_leaves_the_rest() {
        let mut before = Settings::default();
        before.block.enabled = true;
        let lease = Choice::Lease.apply(&before, "192.168.1.1".parse().ok());
        assert!(Choice::Lease.is_on(&lease) && lease.block.enabled && lease.dns.canary_firefox);
        assert_eq!(lease.dhcp.second_resolver, "192.168.1.1".parse().ok());
        let both = Choice::Announce.apply(&Choice::Inform.apply(&before, None), None);
        assert!(Choice::Inform.is_on(&both) && Choice::Announce.is_on(&both));
        let nothing = Choice::Nothing.apply(&both, None);
        assert_eq!(nothing, before);
        for choice in Choice::LISTED {
            assert_eq!(Choice::read(choice.word()), Some(choice));
        }
    }

    #[test]
    fn lease_mode_is_refused_while_a_rival_answers_and_says_who() {
        let server = DhcpServer {
            server: "192.168.1.1".parse().ok(),
            mac: Some("aa:bb:cc:dd:ee:ff".into()),
            ..DhcpServer::default()
        };
        let survey = Survey {
            gateway: "192.168.1.1".parse().ok(),
            dhcp_servers: vec![server.clone()],
            ..Survey::default()
        };
        let why = rival(&Status::default(), Some(&survey)).expect("the router answers");
        assert!(
            why.contains("192.168.1.1 (hardware address aa:bb:cc:dd:ee:ff), your router,"),
            "{why}"
        );
        let text = ask(
            Choice::Lease,
            &Settings::default(),
            Some(&survey),
            Some(&why),
            "t",
        )
        .into_string();
        assert!(
            !text.contains("Yes, do it") && text.contains("your router"),
            "{text}"
        );
        assert_eq!(rival(&Status::default(), Some(&Survey::default())), None);
        let mut silent = Status::default();
        silent.dhcp.rivals = vec![server];
        assert_eq!(rival(&silent, None), None, "heard long ago, and we serve again");
        silent.dhcp.state = DhcpState::Silent;
        assert!(rival(&silent, None).is_some());
    }

    #[test]
    fn what_an_unplugged_box_costs_stands_on_each_page() {
        for choice in Choice::LISTED {
            let text = ask(choice, &Settings::default(), None, None, "t").into_string();
            assert!(
                text.contains("unplugged") && text.contains("How to undo it"),
                "{text}"
            );
        }
        let text = ask(Choice::Lease, &Settings::default(), None, None, "t").into_string();
        assert!(text.contains("7 to 14 seconds"));
    }
}
