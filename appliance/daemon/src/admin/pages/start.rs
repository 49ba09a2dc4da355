//! The box for whoever has not logged in: open something, set up this device, log in or claim the box.

use std::net::SocketAddr;

use maud::{Markup, html};
use proto::name::TLD;

use super::{Answer, Entry};

pub async fn show(entry: Entry<'_>) -> Answer {
    Answer::page("Granary", draw(entry.proxy, entry.handles.claim.owned()))
}

/// `claimed`: the box has an owner.
pub fn draw(proxy: SocketAddr, claimed: bool) -> Markup {
    html! {
        h1 { "Granary" }
        p.lead { "This box opens and keeps sites of the BitTorrent web for every device of this home." }
        @if claimed {
            p { a.button.quiet href="/login" { "Log in" } " to follow sites and to manage the box." }
        } @else {
            div.ask-first {
                h2 { "This box has no owner yet" }
                p { "Whoever sets it up first becomes its owner: only the owner can change how the box works. It takes a minute and no e-mail address." }
                p { a.button href="/claim" { "Claim this box" } }
            }
        }
        (open())
        (device(proxy))
    }
}

/// The box for pasting: opens a site at once, without following it.
pub fn open() -> Markup {
    html! {
        h2 { "Open a site" }
        form.ask action="/open" method="get" {
            input name="uri" type="text" aria-label="Magnet link or address" placeholder="magnet link or address"
                autocomplete="off" autocapitalize="none" spellcheck="false" required;
            button type="submit" { "Open" }
        }
        p.hint { "A magnet link, an address that ends in ." (TLD) ", a key or an infohash. Nothing is kept unless you say so." }
    }
}

/// How this device gets the addresses of the BitTorrent web.
pub fn device(proxy: SocketAddr) -> Markup {
    html! {
        h2 { "On this device" }
        p { "Give the browser this automatic proxy address, and addresses that end in " code { "." (TLD) } " open. Everything else goes its usual way." }
        pre { "http://" (proxy) "/proxy.pac" }
        p { "To undo it, take the address out again. On the command line:" }
        pre { "curl -x http://" (proxy) " http://…-ih." (TLD) "/" }
        p { "Without any of it, each site opens here, in Safe mode:" }
        pre { "http://" (proxy) "/btih/…/" }
    }
}
