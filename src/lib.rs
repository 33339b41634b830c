pub mod mech;
