//! FLV tag inspection.

/// (placeholder until the inspector lands)
#[derive(Clone, Debug)]
pub struct VideoSummary {}
/// (placeholder until the inspector lands)
#[derive(Clone, Debug)]
pub struct AudioSummary {}
