mod cards;
mod hostile;
mod quoting;
mod runs;
mod sample;
mod values;
