//! Chunk streams: byte vectors of what encoders send, limits, copies and memory.
