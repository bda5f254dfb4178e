mod cards;
mod handovers;
mod hostile;
mod plans;
mod quoting;
mod runs;
mod sample;
mod values;
