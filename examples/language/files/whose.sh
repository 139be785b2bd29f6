#!/bin/sh
# Whose settings the lab's program has saved.
sed -n s/^user=//p ~/.labdemo/state
