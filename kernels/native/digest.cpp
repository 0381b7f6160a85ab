// The digest of the sources that this library was built from, as
// ../../rnn_from_scratch/backends/native/sources.py computes it. A unit of its own: whatever else changes,
// this one is compiled again.

extern "C" __attribute__((visibility("default"))) const char* rnn_digest() { return DIGEST; }
