//! How to write locations.

/// The kinds of locations, for the help of the program.
pub(crate) const LOCATIONS: &str = "\
Locations:
  oci:PATH[:TAG|@DIGEST]             an image layout in the directory PATH
  layouts:ROOT//NAME[:TAG|@DIGEST]   the layout NAME in the directory ROOT
  oci:URL[:TAG|@DIGEST]              a layout in an object store, as oci:s3://bucket/prefix:v1
  layouts:URL//NAME[:TAG|@DIGEST]    the layout NAME below the URL
  oci-archive:FILE[:TAG|@DIGEST]     a layout in a tar
  docker-archive:FILE[:[NAME:]TAG|@DIGEST]
                                     a tar as docker save writes it
  HOST/NAME[:TAG|@DIGEST]            a registry's, as docker.io/library/alpine:3";

/// The page about locations.
pub(crate) const LOCATIONS_IN_FULL: &str = "\
A location says where an artifact is stored, and which one: a kind, a place, and a tag or a digest.

Registries
  HOST/NAME:TAG            docker.io/library/alpine:3, localhost:5000/team/app:v1
  HOST/NAME@DIGEST         ghcr.io/team/app@sha256:9834876dcfb05cb167a5c24953eba58c4ac89b1adf57f28f2f9d09af107ee8f0
  The host is required, Docker Hub's too, and it has a dot or a port, or is localhost. On localhost the
  program finds out whether the registry speaks http or https; elsewhere http needs --plain-http.

Image layouts on disk
  oci:PATH:TAG             oci:build/app:v1, a directory with oci-layout, index.json and blobs
  layouts:ROOT//NAME:TAG   layouts:/srv/registry//team/app:v1, one of many layouts below a directory

Image layouts in an object store
  oci:URL:TAG              oci:s3://bucket/app:v1, also gs://, az:// and https://
  layouts:URL//NAME:TAG    layouts:s3://bucket/registry//team/app:v1
  Credentials are taken from the environment, as the tools of the clouds do; --store-option sets the rest.

Archives
  oci-archive:FILE:TAG     oci-archive:app.tar:v1, an image layout in a tar; read also if compressed
  docker-archive:FILE:NAME:TAG
                           docker-archive:app.tar:example.com/app:v1, what `docker load` reads
  FILE may be - for standard input or output with cp.

A command that needs one artifact takes the only one of a layout or an archive if neither tag nor digest
is given. What follows the last colon of a path is the tag; a slash ends a path that contains a colon
itself, as in oci:a:b/ for the directory a:b. A registry as a whole is HOST, layouts:ROOT or layouts:URL.";
