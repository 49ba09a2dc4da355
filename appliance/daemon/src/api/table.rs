//! Every operation. Dispatch and the OpenAPI document are made from this table and from nothing else.
//!
//! A new one: a line here, its work in the file of its group, its shapes beside the work or in `reply`. Paths and field
//! names are a stable face: they are added to, never renamed.

use std::sync::LazyLock;

use super::{
    Caller::{Control, Member, Nobody, Owner},
    blocklists, feeds, items, lan, network,
    operation::{Operation, Success, delete, get, patch, post, put},
    owner, people, records,
    reply::SeedStep,
    resolve, seed, sharing, sites, status, storage,
};

pub fn operations() -> &'static [Operation] {
    static TABLE: LazyLock<Vec<Operation>> = LazyLock::new(|| {
        let mut all = about_the_box();
        all.extend(about_people());
        all.extend(about_sites());
        all.extend(about_addresses());
        all.extend(about_subscriptions());
        all.extend(about_petnames());
        all.extend(about_the_lan());
        all
    });
    &TABLE
}

fn about_the_box() -> Vec<Operation> {
    vec![
        get("/api/v1/openapi.json", Nobody, "This document").json(status::openapi),
        get("/api/v1/health", Nobody, "A traffic light, and for people of the house its reasons").json(status::health),
        post(
            "/api/v1/health/store",
            Control,
            "Writes a row to the store and reads it again: whether anything can be kept",
        )
        .json(status::try_store),
        get(
            "/api/v1/status",
            Nobody,
            "What runs, where it listens, what is stored, what is wrong; without a token only the figures of the start page",
        )
        .json(status::status),
        get("/api/v1/log", Owner, "The last lines of the log, newest first").json(status::log),
        get("/api/v1/network", Member, "How the box is reached, and whom it knows").json(network::show),
        get("/api/v1/storage", Member, "How full the disks are, with what, and what is wrong with them")
            .json(storage::show),
        get("/api/v1/sharing", Member, "What is given to others: settings and figures").json(sharing::show),
        put("/api/v1/sharing", Owner, "Sets what is given to others, at once; all fields, as GET shows them")
            .refuses(&[422])
            .json(sharing::set),
        delete("/api/v1/sharing", Owner, "Forgets what was set: the configuration file counts again").json(sharing::forget),
        post(
            "/api/v1/reset-owner",
            Control,
            "Opens the ownership of the box again and tells the PIN; nothing changes until somebody uses it",
        )
        .json(owner::reset),
    ]
}

fn about_people() -> Vec<Operation> {
    vec![
        get("/api/v1/accounts", Owner, "Who may manage the box").json(people::accounts),
        get("/api/v1/tokens", Owner, "Tokens of programs, without their text").json(people::tokens),
        post(
            "/api/v1/tokens",
            Owner,
            "Makes a token with the rights of an account; its text is shown this once",
        )
        .refuses(&[404, 422])
        .json(people::make_token),
        delete(
            "/api/v1/tokens/{token}",
            Owner,
            "Removes a token; whoever uses it is refused from now on",
        )
        .refuses(&[404])
        .json(people::remove_token),
    ]
}

fn about_sites() -> Vec<Operation> {
    vec![
        get("/api/v1/sites", Member, "Sites that are here, whole or in part, in infohash order").json(sites::list),
        get("/api/v1/sites/{infohash}", Member, "Opens a site: name, files, what of them is here")
            .refuses(&[422, 504])
            .waits()
            .json(sites::open),
        get("/api/v1/sites/{infohash}/info", Member, "The raw info dictionary")
            .refuses(&[422, 504])
            .waits()
            .streams(Success::Bytes("application/x-bittorrent"), sites::info),
        get("/api/v1/sites/{infohash}/bytes", Member, "The verified bytes of a file; ends early when they do not arrive")
            .refuses(&[404, 422, 504])
            .waits()
            .streams(Success::Bytes("application/octet-stream"), sites::bytes),
        post("/api/v1/sites/{infohash}/keep", Member, "Fetches all of a site that is here in part, and keeps it")
            .refuses(&[404, 422])
            .json(sites::keep),
        delete("/api/v1/sites/{infohash}", Owner, "Forgets a site and frees its space")
            .refuses(&[404])
            .json(sites::forget),
        post(
            "/api/v1/sites/{infohash}/rate",
            Owner,
            "A site's own upload limit until the next start; 0 lifts it",
        )
        .refuses(&[404])
        .json(sites::rate),
        post("/api/v1/sites/{infohash}/peers", Owner, "Asks these peers for a site that is being fetched")
            .json(sites::peers),
        post(
            "/api/v1/seed",
            Control,
            "Makes a site of a folder of the box: a line per step, the last one with the infohash or the trouble",
        )
        .streams(Success::Lines(|generator| generator.subschema_for::<SeedStep>()), seed::seed),
    ]
}

fn about_addresses() -> Vec<Operation> {
    vec![
        get(
            "/api/v1/resolve",
            Member,
            "What an address means now, in any form a person pastes",
        )
        .refuses(&[403, 404, 422, 504])
        .waits()
        .json(resolve::resolve),
        get(
            "/api/v1/records",
            Member,
            "Records of the household and of what it follows, in target order",
        )
        .json(records::list),
        get(
            "/api/v1/records/{id}",
            Member,
            "A record by its target: as it is here, or looked for",
        )
        .waits()
        .json(records::show),
        post(
            "/api/v1/records",
            Owner,
            "Publishes a record that was signed elsewhere, and keeps it alive",
        )
        .refuses(&[409, 422])
        .waits()
        .json(records::publish),
        get(
            "/api/v1/items/{id}",
            Member,
            "An item of the DHT by its target, as it is",
        )
        .refuses(&[504])
        .waits()
        .json(items::item),
        post("/api/v1/items", Owner, "Puts an immutable item to the DHT")
            .refuses(&[422])
            .waits()
            .json(items::put_item),
    ]
}

fn about_subscriptions() -> Vec<Operation> {
    vec![
        post(
            "/api/v1/preview",
            Member,
            "What a pasted text opens; only its list of files is downloaded",
        )
        .refuses(&[422])
        .waits()
        .json(feeds::preview),
        get("/api/v1/subscriptions", Member, "What is followed, by name").json(feeds::list),
        post(
            "/api/v1/subscriptions",
            Member,
            "Follows an address; looking and fetching go on behind",
        )
        .refuses(&[422])
        .json(feeds::follow),
        get("/api/v1/subscriptions/{id}", Member, "One subscription")
            .refuses(&[404])
            .json(feeds::show),
        patch(
            "/api/v1/subscriptions/{id}",
            Owner,
            "Changes a subscription; what is left out stays",
        )
        .refuses(&[404, 422])
        .json(feeds::change),
        delete("/api/v1/subscriptions/{id}", Owner, "Stops following")
            .refuses(&[404])
            .json(feeds::unfollow),
        post(
            "/api/v1/subscriptions/{id}/check",
            Member,
            "Looks now, whenever the next look was to be",
        )
        .refuses(&[404, 422])
        .json(feeds::check),
        get(
            "/api/v1/subscriptions/{id}/versions",
            Member,
            "Its versions, newest first",
        )
        .refuses(&[404])
        .json(feeds::versions),
        get(
            "/api/v1/subscriptions/{id}/changes",
            Member,
            "What changed between two versions that are here",
        )
        .refuses(&[404, 422])
        .json(feeds::changes),
        get(
            "/api/v1/settings/subscriptions",
            Member,
            "What holds for subscriptions that say nothing else",
        )
        .json(feeds::house),
        put(
            "/api/v1/settings/subscriptions",
            Owner,
            "Sets it; all fields, as GET shows them",
        )
        .json(feeds::set_house),
    ]
}

fn about_petnames() -> Vec<Operation> {
    vec![
        get("/api/v1/petnames", Member, "The names the household gave").json(feeds::petnames),
        get("/api/v1/petnames/{name}", Member, "What a name leads to")
            .refuses(&[404])
            .json(feeds::petname),
        put(
            "/api/v1/petnames/{name}",
            Owner,
            "Gives an address a name, or a name another address",
        )
        .refuses(&[422])
        .json(feeds::set_petname),
        delete("/api/v1/petnames/{name}", Owner, "Takes a name away")
            .refuses(&[404])
            .json(feeds::remove_petname),
    ]
}

fn about_the_lan() -> Vec<Operation> {
    vec![
        get(
            "/api/v1/lan/status",
            Member,
            "What the part of the box that serves the home's network does: names, addresses, blocking",
        )
        .json(lan::status),
        get(
            "/api/v1/lan/settings",
            Member,
            "What the household chose about its network",
        )
        .json(lan::settings),
        put(
            "/api/v1/lan/settings",
            Owner,
            "Replaces it whole, at once: what is left out is as in the factory; what was before is kept for one undo",
        )
        .refuses(&[422])
        .large(1_000_000)
        .json(lan::set_settings),
        post(
            "/api/v1/lan/undo",
            Owner,
            "Brings back what was before the last change of the network; once more, the change",
        )
        .refuses(&[404, 422])
        .json(lan::undo),
        get("/api/v1/lan/devices", Member, "Devices of the home, and how each finds the box").json(lan::devices),
        get("/api/v1/lan/survey", Member, "What the last look at the network showed").json(lan::seen),
        post(
            "/api/v1/lan/survey",
            Owner,
            "Looks at the network now, for up to eight seconds; changes nothing",
        )
        .json(lan::survey),
        post(
            "/api/v1/lan/block/pause",
            Owner,
            "Blocks nothing for so long",
        )
        .refuses(&[422])
        .json(lan::pause),
        get(
            "/api/v1/lan/block/top",
            Owner,
            "Names blocked most often, while the owner has them counted",
        )
        .json(lan::top),
        get(
            "/api/v1/lan/block/lists",
            Member,
            "Block lists: which, how fresh, how many names",
        )
        .json(blocklists::list),
        post(
            "/api/v1/lan/block/lists",
            Owner,
            "Adds a list by its address, or its text; it counts while blocking is on",
        )
        .refuses(&[422])
        .large(1_000_000)
        .json(blocklists::add),
        put(
            "/api/v1/lan/block/lists/{list}",
            Owner,
            "Switches a list on or off",
        )
        .refuses(&[404])
        .json(blocklists::switch),
        delete("/api/v1/lan/block/lists/{list}", Owner, "Removes a list and its text")
            .refuses(&[404])
            .json(blocklists::remove),
        post("/api/v1/lan/block/refresh", Owner, "Looks at every list now").json(blocklists::refresh),
    ]
}
