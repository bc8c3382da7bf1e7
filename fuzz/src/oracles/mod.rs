//! What must hold, whatever the input is.

pub mod characters;
pub mod commands;
pub mod forms;
pub mod html;
pub mod key;
pub mod links;
pub mod schemas;
