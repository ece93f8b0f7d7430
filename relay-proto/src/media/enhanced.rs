//! What Enhanced RTMP's audio and video tag headers share: ModEx prologues and multitrack.
//!
//! Owns the walk from the first header byte to the body; must not know packet types' meanings
//! beyond the two that shape the header. Enhanced RTMP v2, "Enhanced Audio" and "Enhanced Video".

use super::reader::PayloadReader;

/// ModEx prologues one tag may have before inspection gives up. The specification defines one kind.
const MOD_EX_MAX: usize = 8;

const PACKET_MOD_EX: u8 = 7;

/// Which track of a multitrack stream a message belongs to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Track {
    /// The message names no track: there is one, or this is the default track.
    #[default]
    Only,
    /// The message carries one track, with this id.
    One(u8),
    /// The message carries several tracks; what is said of it holds for the first.
    Many,
}

impl Track {
    /// Whether it is the one that players show where they show one: the default track, or all.
    #[must_use]
    pub const fn is_main(self) -> bool {
        matches!(self, Self::Only | Self::One(0) | Self::Many)
    }
}

/// An Enhanced RTMP header up to the first track's body.
#[derive(Clone, Copy, Debug)]
pub(super) struct EnhancedHeader {
    /// After ModEx and multitrack are taken off.
    pub(super) packet_type: u8,
    /// `None` when the message ends before it.
    pub(super) four_cc: Option<[u8; 4]>,
    pub(super) track: Track,
    /// Nanoseconds to add to the message's timestamp, from ModEx.
    pub(super) nanos: u32,
}

/// Reads from behind the first byte, whose low nibble was `packet_type`, up to the first track's
/// body.
pub(super) fn read_header(
    reader: &mut PayloadReader<'_>,
    mut packet_type: u8,
    multitrack_packet_type: u8,
) -> EnhancedHeader {
    let mut nanos = 0;
    for _ in 0..MOD_EX_MAX {
        if packet_type != PACKET_MOD_EX {
            break;
        }
        let Some((next, offset)) = read_mod_ex(reader) else { break };
        packet_type = next;
        nanos = offset.unwrap_or(nanos);
    }
    if packet_type != multitrack_packet_type {
        return EnhancedHeader { packet_type, four_cc: reader.array(), track: Track::Only, nanos };
    }
    let Some(byte) = reader.u8() else {
        return EnhancedHeader { packet_type, four_cc: None, track: Track::Many, nanos };
    };
    let (four_cc, track) = read_first_track(reader, byte >> 4);
    EnhancedHeader { packet_type: byte & 0x0F, four_cc, track, nanos }
}

/// One ModEx prologue: the packet type behind it, and its timestamp offset if that is what it is.
fn read_mod_ex(reader: &mut PayloadReader<'_>) -> Option<(u8, Option<u32>)> {
    const TIMESTAMP_OFFSET_NANO: u8 = 0;
    const NANO_BYTES: usize = 3;

    let mut size = usize::from(reader.u8()?) + 1;
    if size == 256 {
        size = usize::from(reader.u16()?) + 1;
    }
    let offset = if size >= NANO_BYTES { reader.u24() } else { None };
    reader.skip(if size >= NANO_BYTES { size - NANO_BYTES } else { size })?;
    let types = reader.u8()?;
    let is_offset = types >> 4 == TIMESTAMP_OFFSET_NANO;
    Some((types & 0x0F, offset.filter(|_| is_offset)))
}

/// The FourCC and id of the first track, with the reader left at its body.
fn read_first_track(
    reader: &mut PayloadReader<'_>,
    multitrack_type: u8,
) -> (Option<[u8; 4]>, Track) {
    const ONE_TRACK: u8 = 0;

    // With one codec for all tracks the FourCC comes once; with many it opens each track. Either
    // way it stands here, before the first track's id.
    let four_cc = reader.array();
    let Some(id) = reader.u8() else { return (four_cc, Track::Many) };
    if multitrack_type == ONE_TRACK {
        return (four_cc, Track::One(id));
    }
    let size = reader.u24();
    // A single track in a message made for many is still one track.
    let alone = size.is_some_and(|size| size as usize >= reader.remaining());
    (four_cc, if alone { Track::One(id) } else { Track::Many })
}
