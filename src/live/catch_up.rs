//! The way up to a feed: a subscriber that is behind reads the window, and the store where the window does not reach.

pub(super) mod follower;
pub(super) mod shared;
