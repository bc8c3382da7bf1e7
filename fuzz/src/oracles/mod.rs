//! What must hold, whatever the input is.

pub mod bodies;
pub mod characters;
pub mod commands;
pub mod forms;
pub mod html;
pub mod key;
pub mod links;
pub mod printed;
pub mod schemas;
