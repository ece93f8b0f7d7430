#!/bin/sh
# Calls the compiler in cargo's place: `rustc.sh COMPILER ARGUMENT...`
#
# cargo tells crates of one name apart by where they are (-C metadata), unless they are in the workspace that is
# built. That goes into the names of functions, and those into the object. There is one of each of ours.
name=
before=
for argument; do
    if [ "$before" = --crate-name ]; then
        name=$argument
    fi
    before=$argument
done
for argument; do
    shift
    case "$name $argument" in
    edgerelay_*" metadata="*) argument="metadata=$name" ;;
    esac
    set -- "$@" "$argument"
done
exec "$@"
