//! Which slot a command's keys have, and who holds it.
//!
//! Takes: a command; a node's answer to CLUSTER SLOTS and CLUSTER INFO. Gives: the slot; the owners as that node sees
//! them. Does not: check that all keys of a command share the slot: Redis does.

use crate::{error::Error, uri::Host};
use redis::{Arg, Cmd, Value};

/// Slots of a cluster (Redis Cluster specification).
const SLOTS: u16 = 16384;

/// Slots that follow each other and have one owner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Range<T> {
    pub(super) first: u16,
    pub(super) last: u16,
    pub(super) owner: T,
}

impl<T> Range<T> {
    pub(super) fn map<U>(self, change: impl FnOnce(T) -> U) -> Range<U> {
        Range { first: self.first, last: self.last, owner: change(self.owner) }
    }
}

/// The cluster as one node sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct View {
    pub(super) ranges: Vec<Range<Host>>,
    /// The node can serve; one that was cut off cannot.
    is_ok: bool,
    /// Counts the changes that the node has heard of.
    epoch: u64,
}

impl View {
    /// Of several views the greatest counts.
    pub(super) fn rank(&self) -> (bool, u64) {
        (self.is_ok, self.epoch)
    }
}

/// The slot of a command: that of its first key. A script's keys follow their number.
pub(super) fn slot_of(command: &Cmd) -> u16 {
    let argument = |at: usize| match command.args_iter().nth(at) {
        Some(Arg::Simple(bytes)) => Some(bytes),
        _ => None,
    };
    let key = match argument(0) {
        Some(b"EVALSHA" | b"EVAL") => argument(3),
        Some(b"TIME" | b"PUBLISH") => None,
        _ => argument(1),
    };
    slot_of_key(key.unwrap_or(crate::keys::QUEUES.as_bytes()))
}

/// The slot of a key: of what stands in its first braces, if anything does, else of all of it.
pub(super) fn slot_of_key(key: &[u8]) -> u16 {
    let tag = key.iter().position(|byte| *byte == b'{').map(|open| &key[open + 1..]).and_then(|rest| {
        let close = rest.iter().position(|byte| *byte == b'}')?;
        (close > 0).then(|| &rest[..close])
    });
    crc16::State::<crc16::XMODEM>::calculate(tag.unwrap_or(key)) % SLOTS
}

/// Reads the answers of `node`.
pub(super) fn view(node: &Host, slots: Value, info: Value) -> Result<View, Error> {
    let not_understood = || Error::UnexpectedReply { script: "CLUSTER SLOTS" };
    let Value::Array(items) = slots else { return Err(not_understood()) };
    let ranges: Vec<Range<Host>> = items.into_iter().filter_map(|item| range(node, item)).collect();
    let info: String = redis::from_redis_value(info).map_err(|_| not_understood())?;
    let field = |name: &str| info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim);
    let epoch = field("cluster_current_epoch").and_then(|epoch| epoch.parse().ok()).unwrap_or(0);
    Ok(View { ranges, is_ok: field("cluster_state") == Some("ok"), epoch })
}

/// First slot, last slot, the owner's address and more, then the replicas.
fn range(node: &Host, item: Value) -> Option<Range<Host>> {
    let Value::Array(parts) = item else { return None };
    let [Value::Int(first), Value::Int(last), Value::Array(owner), ..] = &*parts else { return None };
    let [name, Value::Int(port), ..] = &**owner else { return None };
    let name = match name {
        Value::BulkString(name) => String::from_utf8(name.clone()).ok()?,
        Value::SimpleString(name) => name.clone(),
        _ => String::new(),
    };
    let name = match &*name {
        // The node does not know under which name it is reached.
        "" | "0.0.0.0" | "::" => node.name.clone(),
        // It does not know the other one's.
        "?" => return None,
        _ => name,
    };
    let owner = Host { name, port: u16::try_from(*port).ok()? };
    Some(Range { first: u16::try_from(*first).ok()?, last: u16::try_from(*last).ok()?, owner })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_those_of_the_specification() {
        // 0x31C3 is the check value of CRC-16/XMODEM; the others are CLUSTER KEYSLOT's answers of Redis 7.0.
        assert_eq!(slot_of_key(b"123456789"), 0x31C3 % SLOTS);
        assert_eq!(slot_of_key(b"asynq:{default}:pending"), slot_of_key(b"default"));
        assert_eq!(slot_of_key(b"{}x"), crc16::State::<crc16::XMODEM>::calculate(b"{}x") % SLOTS);
        assert_eq!(slot_of_key(b"foo{{bar}}zap"), slot_of_key(b"{bar"));
    }

    #[test]
    fn a_script_goes_where_its_first_key_is() {
        let mut call = redis::cmd("EVALSHA");
        call.arg("0a1b").arg(2).arg("asynq:{low}:pending").arg("asynq:{low}:active");
        assert_eq!(slot_of(&call), slot_of_key(b"low"));
        assert_eq!(slot_of(redis::cmd("SADD").arg("asynq:queues").arg("low")), slot_of_key(b"asynq:queues"));
        assert_eq!(slot_of(&redis::cmd("TIME")), slot_of_key(b"asynq:queues"));
    }

    #[test]
    fn the_owners_are_read_and_a_nameless_one_is_the_node_asked() {
        let bulk = |text: &str| Value::BulkString(text.as_bytes().to_vec());
        let host = |name: &str, port: i64| Value::Array(vec![bulk(name), Value::Int(port), bulk("id")]);
        let range = |first, last, owner| Value::Array(vec![Value::Int(first), Value::Int(last), owner, host("r", 1)]);
        let slots = Value::Array(vec![
            range(0, 5460, host("", 7000)),
            range(5461, 10922, host("node-2", 7001)),
            range(10923, 16383, host("?", 7002)),
        ]);
        let node = Host { name: "node-1".into(), port: 7000 };
        let info = bulk("cluster_state:ok\r\ncluster_current_epoch:6\r\n");
        let view = view(&node, slots, info).expect("an answer that is understood");
        let other = Host { name: "node-2".into(), port: 7001 };
        let ranges = [Range { first: 0, last: 5460, owner: node }, Range { first: 5461, last: 10922, owner: other }];
        assert_eq!((view.ranges.as_slice(), view.rank()), (&ranges[..], (true, 6)));
    }
}
