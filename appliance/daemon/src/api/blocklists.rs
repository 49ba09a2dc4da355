//! Block lists, for programs.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{
    operation::{Call, Nothing},
    refusal::Refusal,
};
use crate::blocklists::Facts;

pub async fn list(call: Call, _: Nothing, _: Nothing) -> Result<Facts, Refusal> {
    Ok(call.handles.blocklists.facts())
}

/// A list from the web or a text.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct NewList {
    /// Empty: after its address.
    name: String,
    /// Where it is fetched from, once a day; not together with `text`.
    url: Option<String>,
    /// The list itself.
    text: Option<String>,
}

pub async fn add(call: Call, _: Nothing, list: NewList) -> Result<Facts, Refusal> {
    let lists = &call.handles.blocklists;
    match (list.url, list.text) {
        (Some(url), None) => lists.add_url(&list.name, &url).await?,
        (None, Some(text)) => lists.add_text(&list.name, text.into()).await?,
        _ => return Err(Refusal::unacceptable("give url or text, one of them")),
    };
    Ok(lists.facts())
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Switch {
    /// A list that is off stays here and blocks nothing.
    enabled: bool,
}

pub async fn switch(call: Call, _: Nothing, switch: Switch) -> Result<Facts, Refusal> {
    let lists = &call.handles.blocklists;
    lists.set_enabled(id(&call)?, switch.enabled).await?;
    Ok(lists.facts())
}

pub async fn remove(call: Call, _: Nothing, _: Nothing) -> Result<Facts, Refusal> {
    let lists = &call.handles.blocklists;
    lists.remove(id(&call)?).await?;
    Ok(lists.facts())
}

pub async fn refresh(call: Call, _: Nothing, _: Nothing) -> Result<Facts, Refusal> {
    let lists = &call.handles.blocklists;
    lists.refresh();
    Ok(lists.facts())
}

fn id(call: &Call) -> Result<u32, Refusal> {
    let text = call.place("list");
    text.parse()
        .map_err(|_| Refusal::unknown(format!("{text:?} is no number of a list")))
}
