//! FITS, the Flexible Image Transport System: images and binary tables behind headers of 80-byte cards.
//!
//! Specification: "Definition of the Flexible Image Transport System (FITS)", version 4.0, IAU FITS Working Group, 2016; for maps of
//! the sphere "The HEALPix Primer", appendix on file formats.
//!
//! # Format
//!
//! A file is a run of header and data units (HDUs), each padded to blocks of 2880 bytes. Values are big-endian.
//!
//! | HDU | arrays |
//! |---|---|
//! | primary, `IMAGE` | one, of type u8, i16, i32, i64, f32, f64 as `BITPIX` says, with the axes in C order: `[NAXISn, ..., NAXIS1]` |
//! | `BINTABLE` | one of each column with `TFORM` `rB`, `rI`, `rJ`, `rK`, `rE`, `rD`: its values row after row, `[rows * r]` |
//! | random groups, `TABLE`, others, compressed images and tables (`ZIMAGE`, `ZTABLE`) | none |
//!
//! Everything else is kept as it is: headers, padding, heaps, columns of text, logicals, bits, complex numbers and descriptors,
//! images of no values or of more than 8 axes, and what follows the last HDU.
//!
//! # Arrays
//!
//! A column is called as its `TTYPE` (`column3` without one), an image `primary` or as its `EXTNAME` (`hdu2` without one). Where several
//! HDUs have arrays, columns stand under the name of theirs: `maps/I_STOKES`. A second of a name is `maps/I_STOKES#2`.
//!
//! Values are the stored ones: unsigned integers, which FITS keeps less an offset of half their range, are read as signed, and scaled
//! integers as integers.
//!
//! | attribute | content |
//! |---|---|
//! | `hdu`, `extname` | the number of the HDU, from 0, and its name |
//! | `unit` | `BUNIT` or `TUNIT` |
//! | `scale`, `zero` | `BSCALE` and `BZERO`, or `TSCAL` and `TZERO`, where they are not 1 and 0: the value meant is `zero + scale * value` |
//! | `blank` | `BLANK` or `TNULL`: the integer of undefined values |
//! | `repeat`, `dims` | values in a row, where there are several, and their shape `TDIM` as written |
//! | `healpix` | `nside` and `ordering` (`ring` or `nested`) of a column that is a whole HEALPix map |
//!
//! # Restoring
//!
//! Headers come back as they were, so `DATASUM`, `CHECKSUM`, `DATAMIN` and `DATAMAX` stay those of the original. The template lists the parts
//! of the file in order; see [`template::Part`].

mod hdu;
mod header;
mod read;
mod strip;
mod template;
#[cfg(test)]
mod tests;

pub(super) use read::Fits;
