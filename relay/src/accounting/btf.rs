//! Where the running kernel keeps the fields of a socket: read from its own description of its types.
//!
//! Knows the format of that description as far as structures go, and nothing of BPF.

use std::collections::HashMap;

use edgerelay_ebpf_common::SocketOffsets;

const MAGIC: u16 = 0xeb9f;
const HEADER_BYTES_MIN: usize = 24;
const TYPE_BYTES: usize = 12;
const MEMBER_BYTES: usize = 12;
/// How deep unnamed structures lie within each other at most.
const DEPTH_MAX: usize = 16;

const KIND_STRUCT: u32 = 4;
const KIND_UNION: u32 = 5;

/// Why the offsets are not known.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BtfError {
    #[error("the kernel's type information is malformed")]
    Malformed,
    #[error("the kernel's type information holds no {0}")]
    Missing(&'static str),
}

/// The structures of a description, by name.
struct Structures<'a> {
    types: Vec<Type<'a>>,
    strings: &'a [u8],
    by_name: HashMap<&'a [u8], usize>,
}

struct Type<'a> {
    kind: u32,
    /// Whether a member's offset carries the size of a bit field in its upper byte.
    bit_fields: bool,
    members: &'a [u8],
}

/// What the snapshot needs to know of `description`, which is `/sys/kernel/btf/vmlinux`.
pub(crate) fn socket_offsets(description: &[u8]) -> Result<SocketOffsets, BtfError> {
    let structures = Structures::parse(description).ok_or(BtfError::Malformed)?;
    let common = |field| structures.offset("sock_common", field).ok_or(BtfError::Missing(field));
    let tcp = |field| structures.offset("tcp_sock", field).ok_or(BtfError::Missing(field));
    Ok(SocketOffsets {
        local_port: common("skc_num")?,
        peer_port: common("skc_dport")?,
        family: common("skc_family")?,
        state: common("skc_state")?,
        peer_address: common("skc_daddr")?,
        peer_address_v6: common("skc_v6_daddr")?,
        bytes_received: tcp("bytes_received")?,
        bytes_acked: tcp("bytes_acked")?,
        srtt_us: tcp("srtt_us")?,
        total_retrans: tcp("total_retrans")?,
        callbacks: tcp("bpf_sock_ops_cb_flags")?,
    })
}

impl<'a> Structures<'a> {
    fn parse(description: &'a [u8]) -> Option<Self> {
        let magic = u16::from_ne_bytes(description.get(..2)?.try_into().ok()?);
        let header_bytes = number(description, 4)? as usize;
        if magic != MAGIC || header_bytes < HEADER_BYTES_MIN {
            return None;
        }
        let section = |place| {
            let from = header_bytes.checked_add(number(description, place)? as usize)?;
            description.get(from..from.checked_add(number(description, place + 4)? as usize)?)
        };
        let (mut rest, strings) = (section(8)?, section(16)?);
        // Numbered from one; zero is `void`.
        let mut types = vec![Type { kind: 0, bit_fields: false, members: &[] }];
        let mut by_name = HashMap::new();
        while !rest.is_empty() {
            let (name, info) = (number(rest, 0)?, number(rest, 4)?);
            let kind = info >> 24 & 0x1f;
            let body = rest.get(TYPE_BYTES..)?;
            let (members, after) = body.split_at_checked(body_bytes(kind, info & 0xffff)?)?;
            if kind == KIND_STRUCT {
                by_name.entry(string(strings, name)?).or_insert(types.len());
            }
            types.push(Type { kind, bit_fields: info >> 31 == 1, members });
            rest = after;
        }
        Some(Self { types, strings, by_name })
    }

    /// In bytes from the beginning of `structure`.
    fn offset(&self, structure: &str, field: &str) -> Option<u32> {
        let found = self.by_name.get(structure.as_bytes())?;
        Some(self.bit_offset(*found, field.as_bytes(), DEPTH_MAX)? / 8)
    }

    /// Looks into unnamed members, too: their fields are the structure's own.
    fn bit_offset(&self, structure: usize, field: &[u8], depth_left: usize) -> Option<u32> {
        let depth_left = depth_left.checked_sub(1)?;
        let structure = self.types.get(structure)?;
        if structure.kind != KIND_STRUCT && structure.kind != KIND_UNION {
            return None;
        }
        structure.members.chunks_exact(MEMBER_BYTES).find_map(|member| {
            let (name, kind, at) = (number(member, 0)?, number(member, 4)?, number(member, 8)?);
            let at = if structure.bit_fields { at & 0x00ff_ffff } else { at };
            match string(self.strings, name)? {
                b"" => Some(at + self.bit_offset(kind as usize, field, depth_left)?),
                name => (name == field).then_some(at),
            }
        })
    }
}

/// How much follows the head of a type of `kind` with `count` members.
fn body_bytes(kind: u32, count: u32) -> Option<usize> {
    let count = count as usize;
    Some(match kind {
        // Pointers, forward declarations, typedefs, modifiers, functions, floats, type tags.
        2 | 7..=12 | 16 | 18 => 0,
        // Integers, variables, declaration tags.
        1 | 14 | 17 => 4,
        // Arrays.
        3 => 12,
        // Enumerations and prototypes.
        6 | 13 => count * 8,
        // Structures, unions, sections, wide enumerations.
        KIND_STRUCT | KIND_UNION | 15 | 19 => count * MEMBER_BYTES,
        _ => return None,
    })
}

fn number(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(bytes.get(at..at.checked_add(4)?)?.try_into().ok()?))
}

fn string(strings: &[u8], at: u32) -> Option<&[u8]> {
    strings.get(at as usize..)?.split(|byte| *byte == 0).next()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A description of `int`, an unnamed union and two structures around it.
    fn description() -> Vec<u8> {
        let strings = b"\0sock_common\0skc_num\0skc_state\0tcp_sock\0int\0";
        let at = |name: &str| {
            let place = strings.windows(name.len()).position(|found| found == name.as_bytes());
            u32::try_from(place.expect("is there")).expect("small")
        };
        let kind = |kind: u32, members: u32| (kind << 24) | members;
        let words = [
            vec![at("int"), kind(1, 0), 4, 32],
            // 2: a union of one field.
            vec![0, kind(KIND_UNION, 1), 4, at("skc_num"), 1, 0],
            // 3: bit fields, and the union at byte 12.
            vec![at("sock_common"), kind(KIND_STRUCT, 2) | (1 << 31), 16],
            vec![at("skc_state"), 1, (3 << 24) | (8 * 4), 0, 2, 8 * 12],
            vec![at("tcp_sock"), kind(KIND_STRUCT, 0), 0],
        ]
        .concat();
        let types: Vec<u8> = words.iter().flat_map(|word| word.to_ne_bytes()).collect();
        let mut out = MAGIC.to_ne_bytes().to_vec();
        out.extend([1, 0]);
        let types_bytes = u32::try_from(types.len()).expect("small");
        let strings_bytes = u32::try_from(strings.len()).expect("small");
        for word in [24, 0, types_bytes, types_bytes, strings_bytes] {
            out.extend(word.to_ne_bytes());
        }
        out.extend(types);
        out.extend(strings);
        out
    }

    #[test]
    fn fields_are_found_within_unnamed_members_and_beside_bit_fields() {
        let description = description();
        let structures = Structures::parse(&description).expect("well formed");
        assert_eq!(structures.offset("sock_common", "skc_num"), Some(12));
        assert_eq!(structures.offset("sock_common", "skc_state"), Some(4));
        assert_eq!(structures.offset("sock_common", "skc_dport"), None);
        assert_eq!(structures.offset("sock", "skc_num"), None);
    }

    #[test]
    fn a_description_cut_anywhere_is_refused_and_never_panics() {
        let description = description();
        for length in 0..description.len() {
            assert!(socket_offsets(&description[..length]).is_err(), "{length} bytes");
        }
        assert!(matches!(socket_offsets(&description), Err(BtfError::Missing("skc_dport"))));
    }

    #[test]
    fn the_running_kernel_describes_its_sockets() {
        let Ok(description) = std::fs::read("/sys/kernel/btf/vmlinux") else {
            eprintln!("SKIPPED: this kernel does not describe its types");
            return;
        };
        let offsets = socket_offsets(&description).expect("every field");
        // As it has been since IPv4: the address first.
        assert_eq!((offsets.peer_address, offsets.peer_port), (0, 12));
        assert!(offsets.bytes_acked > offsets.family, "{offsets:?}");
    }
}
