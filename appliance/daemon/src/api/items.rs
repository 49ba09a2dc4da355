//! Single items of the DHT (BEP 44): read as they are, and put.

use data_encoding::HEXLOWER;
use proto::record::VALUE_MAX;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    operation::{Call, Nothing, until},
    records::{hex, salt},
    refusal::Refusal,
};
use crate::swarm::dht::Item;

/// How an item is looked for.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ItemQuery {
    /// Hex; of a mutable item.
    salt: Option<String>,
    /// Seconds to look for it; 30 when left out, 600 at most.
    deadline: Option<u64>,
}

/// An item of the DHT as it is.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ItemReply {
    pub target: String,
    /// `immutable` or `mutable`.
    pub kind: &'static str,
    /// Bencoded, hex.
    pub value: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub salt: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seq: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sig: Option<String>,
}

pub async fn item(call: Call, query: ItemQuery, _: Nothing) -> Result<ItemReply, Refusal> {
    let target = call.id()?;
    let salt = salt(query.salt.as_deref())?;
    let records = call.handles.swarm.records();
    let found = records.find(target, &salt, until(query.deadline)).await?;
    let reply = |kind, value: &[u8]| ItemReply {
        target: target.to_string(),
        kind,
        value: HEXLOWER.encode(value),
        key: None,
        salt: None,
        seq: None,
        sig: None,
    };
    Ok(match &found {
        Item::Immutable(value) => reply("immutable", value),
        Item::Mutable(item) => ItemReply {
            key: Some(item.key.to_string()),
            salt: Some(HEXLOWER.encode(&item.salt)),
            seq: Some(item.seq),
            sig: Some(HEXLOWER.encode(&item.sig)),
            ..reply("mutable", &item.value)
        },
    })
}

/// An immutable item.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ItemBody {
    /// Bencoded, hex.
    value: String,
    /// Seconds until it is enough to have tried; 30 when left out, 600 at most.
    deadline: Option<u64>,
}

#[derive(Debug, Serialize, JsonSchema)]
pub struct ItemPut {
    pub target: String,
    /// Nodes that took it.
    pub stored: u32,
}

pub async fn put_item(call: Call, _: Nothing, body: ItemBody) -> Result<ItemPut, Refusal> {
    let value = hex(&body.value, "value", VALUE_MAX + 1)?;
    let records = call.handles.swarm.records();
    let (target, stored) = records.put_item(value, until(body.deadline)).await?;
    let target = target.to_string();
    Ok(ItemPut { target, stored })
}
