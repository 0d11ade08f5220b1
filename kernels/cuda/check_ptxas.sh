#!/bin/sh
# Compiler launcher: fails where ptxas says that it serialises wgmma products (C7510 to C7519, "Potential Performance Loss"), which it
# reports as information only and which costs a third of the speed.
# usage: check_ptxas.sh COMPILER ARGUMENTS...
messages=$("$@" 2>&1)
status=$?
[ -z "$messages" ] || printf '%s\n' "$messages" >&2
case $messages in
  *"(C751"*) printf '%s\n' "error: ptxas serialises wgmma products, see above" >&2; exit 1 ;;
esac
exit $status
