//! The AVC decoder configuration and its sequence parameter set, as far as statistics want them.
//! ISO/IEC 14496-15 §5.3.3.1; H.264 §7.3.2.1.1 and Annex E.

use super::bits::{BitReader, unescape};

/// What the configuration says.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct AvcConfig {
    pub(super) profile_idc: u8,
    pub(super) compat: u8,
    pub(super) level_idc: u8,
    /// From the first parameter set, if it can be read.
    pub(super) picture: Option<Picture>,
}

/// Picture size and rate of a parameter set.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Picture {
    pub(super) width: u32,
    pub(super) height: u32,
    /// Zero when the parameter set does not say.
    pub(super) frame_rate: f64,
}

/// Reads an AVCDecoderConfigurationRecord.
pub(super) fn parse(record: &[u8]) -> Option<AvcConfig> {
    let (header, rest) = record.split_first_chunk::<6>()?;
    let [_, profile_idc, compat, level_idc, _, sets] = *header;
    let picture = (sets & 0x1F > 0).then(|| first_unit(rest)).flatten().and_then(picture);
    Some(AvcConfig { profile_idc, compat, level_idc, picture })
}

/// The profile's name, as nginx-rtmp spells those it knows.
pub(super) const fn profile_name(profile_idc: u8) -> Option<&'static str> {
    Some(match profile_idc {
        66 => "Baseline",
        77 => "Main",
        88 => "Extended",
        100 => "High",
        110 => "High 10",
        122 => "High 4:2:2",
        244 => "High 4:4:4",
        _ => return None,
    })
}

/// A unit with its length in two bytes before it.
pub(super) fn first_unit(bytes: &[u8]) -> Option<&[u8]> {
    let (length, rest) = bytes.split_first_chunk::<2>()?;
    rest.get(..usize::from(u16::from_be_bytes(*length)))
}

/// Reads a sequence parameter set with its one-byte NAL header.
fn picture(unit: &[u8]) -> Option<Picture> {
    const REFERENCE_FRAMES_IN_CYCLE_MAX: u32 = 255;

    let bytes = unescape(unit);
    let mut bits = BitReader::new(&bytes);
    bits.skip(8)?;
    let profile_idc = bits.bits(8)?;
    bits.skip(16)?;
    bits.unsigned()?; // seq_parameter_set_id
    let mut chroma_format = 1;
    let mut separate_planes = false;
    if has_chroma_fields(profile_idc) {
        chroma_format = bits.unsigned()?;
        if chroma_format == 3 {
            separate_planes = bits.bit()?;
        }
        bits.unsigned()?; // bit_depth_luma_minus8
        bits.unsigned()?; // bit_depth_chroma_minus8
        bits.skip(1)?; // qpprime_y_zero_transform_bypass_flag
        if bits.bit()? {
            skip_scaling_lists(&mut bits, if chroma_format == 3 { 12 } else { 8 })?;
        }
    }
    bits.unsigned()?; // log2_max_frame_num_minus4
    match bits.unsigned()? {
        0 => {
            bits.unsigned()?;
        }
        1 => {
            bits.skip(1)?;
            bits.signed()?;
            bits.signed()?;
            let cycle = bits.unsigned()?;
            if cycle > REFERENCE_FRAMES_IN_CYCLE_MAX {
                return None;
            }
            for _ in 0..cycle {
                bits.signed()?;
            }
        }
        _ => {}
    }
    bits.unsigned()?; // max_num_ref_frames
    bits.skip(1)?; // gaps_in_frame_num_value_allowed_flag
    let macroblocks_wide = bits.unsigned()?.checked_add(1)?;
    let map_units_high = bits.unsigned()?.checked_add(1)?;
    let frames_only = bits.bit()?;
    if !frames_only {
        bits.skip(1)?; // mb_adaptive_frame_field_flag
    }
    bits.skip(1)?; // direct_8x8_inference_flag
    let field_factor = if frames_only { 1 } else { 2 };
    let mut width = macroblocks_wide.checked_mul(16)?;
    let mut height = map_units_high.checked_mul(16 * field_factor)?;
    if bits.bit()? {
        let (unit_x, unit_y) = crop_units(chroma_format, separate_planes);
        let horizontal = bits.unsigned()?.checked_add(bits.unsigned()?)?;
        let vertical = bits.unsigned()?.checked_add(bits.unsigned()?)?;
        width = width.checked_sub(horizontal.checked_mul(unit_x)?)?;
        height = height.checked_sub(vertical.checked_mul(unit_y * field_factor)?)?;
    }
    let frame_rate = frame_rate(&mut bits).unwrap_or(0.0);
    Some(Picture { width, height, frame_rate })
}

const fn has_chroma_fields(profile_idc: u32) -> bool {
    matches!(profile_idc, 44 | 83 | 86 | 100 | 110 | 118 | 122 | 128 | 134 | 135 | 138 | 139 | 244)
}

/// Luma samples per cropping unit. H.264 table 6-1.
pub(super) const fn crop_units(chroma_format: u32, separate_planes: bool) -> (u32, u32) {
    match chroma_format {
        1 => (2, 2),
        2 => (2, 1),
        3 if separate_planes => (1, 1),
        _ => (1, 1),
    }
}

fn skip_scaling_lists(bits: &mut BitReader<'_>, lists: usize) -> Option<()> {
    for list in 0..lists {
        if !bits.bit()? {
            continue;
        }
        let size = if list < 6 { 16 } else { 64 };
        let (mut last, mut next) = (8_i32, 8_i32);
        for _ in 0..size {
            if next != 0 {
                next = last.wrapping_add(bits.signed()?) & 0xFF;
            }
            if next != 0 {
                last = next;
            }
        }
    }
    Some(())
}

/// The rate from the usability information's timing. H.264 §E.1.1.
fn frame_rate(bits: &mut BitReader<'_>) -> Option<f64> {
    const EXTENDED_SAMPLE_ASPECT: u32 = 255;

    if !bits.bit()? {
        return None;
    }
    if bits.bit()? && bits.bits(8)? == EXTENDED_SAMPLE_ASPECT {
        bits.skip(32)?;
    }
    if bits.bit()? {
        bits.skip(1)?; // overscan_appropriate_flag
    }
    if bits.bit()? {
        bits.skip(4)?; // video_format, video_full_range_flag
        if bits.bit()? {
            bits.skip(24)?; // colour description
        }
    }
    if bits.bit()? {
        bits.unsigned()?; // chroma_sample_loc_type_top_field
        bits.unsigned()?; // chroma_sample_loc_type_bottom_field
    }
    if !bits.bit()? {
        return None;
    }
    let units_in_tick = bits.bits(32)?;
    let time_scale = bits.bits(32)?;
    // A tick is a field, two of which make a frame.
    (units_in_tick > 0).then(|| f64::from(time_scale) / (2.0 * f64::from(units_in_tick)))
}
