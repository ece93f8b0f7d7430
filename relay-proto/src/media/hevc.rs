//! The HEVC decoder configuration and its sequence parameter set, as far as statistics want them.
//! ISO/IEC 14496-15 §8.3.3.1; H.265 §7.3.2.2.

use super::avc::{Picture, crop_units, first_unit};
use super::bits::{BitReader, unescape};

/// What the configuration says.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct HevcConfig {
    pub(super) profile_idc: u8,
    pub(super) level_idc: u8,
    /// From the first sequence parameter set, if it can be read.
    pub(super) picture: Option<Picture>,
}

/// Reads an HEVCDecoderConfigurationRecord.
pub(super) fn parse(record: &[u8]) -> Option<HevcConfig> {
    const ARRAYS_OFFSET: usize = 23;

    let profile_idc = record.get(1)? & 0x1F;
    let level_idc = *record.get(12)?;
    let arrays = *record.get(22)?;
    let picture = record
        .get(ARRAYS_OFFSET..)
        .and_then(|rest| sequence_parameter_set(rest, arrays))
        .and_then(picture);
    Some(HevcConfig { profile_idc, level_idc, picture })
}

/// The profile's name.
pub(super) const fn profile_name(profile_idc: u8) -> Option<&'static str> {
    Some(match profile_idc {
        1 => "Main",
        2 => "Main 10",
        3 => "Main Still Picture",
        4 => "Range Extensions",
        _ => return None,
    })
}

/// Walks the arrays of units to the first sequence parameter set.
fn sequence_parameter_set(mut rest: &[u8], arrays: u8) -> Option<&[u8]> {
    const UNIT_TYPE_SPS: u8 = 33;

    for _ in 0..arrays {
        let (header, units) = rest.split_first_chunk::<3>()?;
        let [array_type, high, low] = *header;
        rest = units;
        for _ in 0..u16::from_be_bytes([high, low]) {
            let unit = first_unit(rest)?;
            if array_type & 0x3F == UNIT_TYPE_SPS {
                return Some(unit);
            }
            rest = rest.get(2 + unit.len()..)?;
        }
    }
    None
}

/// Reads a sequence parameter set with its two-byte NAL header.
fn picture(unit: &[u8]) -> Option<Picture> {
    let bytes = unescape(unit);
    let mut bits = BitReader::new(&bytes);
    bits.skip(16 + 4)?;
    let sub_layers = bits.bits(3)?;
    bits.skip(1)?;
    skip_profile_tier_level(&mut bits, sub_layers)?;
    bits.unsigned()?; // sps_seq_parameter_set_id
    let chroma_format = bits.unsigned()?;
    let separate_planes = chroma_format == 3 && bits.bit()?;
    let mut width = bits.unsigned()?;
    let mut height = bits.unsigned()?;
    if bits.bit()? {
        let (unit_x, unit_y) = crop_units(chroma_format, separate_planes);
        let horizontal = bits.unsigned()?.checked_add(bits.unsigned()?)?;
        let vertical = bits.unsigned()?.checked_add(bits.unsigned()?)?;
        width = width.checked_sub(horizontal.checked_mul(unit_x)?)?;
        height = height.checked_sub(vertical.checked_mul(unit_y)?)?;
    }
    Some(Picture { width, height, frame_rate: 0.0 })
}

/// H.265 §7.3.3, with `sub_layers` = sps_max_sub_layers_minus1.
fn skip_profile_tier_level(bits: &mut BitReader<'_>, sub_layers: u32) -> Option<()> {
    const GENERAL_BITS: usize = 88 + 8;

    bits.skip(GENERAL_BITS)?;
    let mut present = 0;
    for _ in 0..sub_layers {
        if bits.bit()? {
            present += 88;
        }
        if bits.bit()? {
            present += 8;
        }
    }
    if sub_layers > 0 {
        bits.skip(2 * (8 - sub_layers as usize))?;
    }
    bits.skip(present)
}
