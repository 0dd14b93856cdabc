//! What the three programs do alike, as others see it.

mod admin;
mod listener;
mod state;
