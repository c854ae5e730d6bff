#!/bin/sh
# @NAME@ hook, @OURS@; keyward uninstall takes it out again.
kept=@KEPT@
call=@CALL@
keyward=@EXE@

if [ "$call" != no ]; then
  [ -x "$keyward" ] || keyward=$(command -v keyward) || {
    echo "keyward: error: @NAME@: the program keyward is not on the PATH: nothing was scanned" >&2
    if [ -e "$0@SUFFIX@" ]; then
      echo "hint: install it, or put the hook from before back: mv \"$0@SUFFIX@\" \"$0\"" >&2
    else
      echo "hint: install it, or take the hook out: rm \"$0\"" >&2
    fi
    exit 2
  }
fi
[ "$KEYWARD_CHAINED" = "$0" ] && call=no # the hook for all repositories has called this one
[ -x "$kept" ] || {
  [ "$call" = no ] && exit 0
  exec "$keyward" hook "$call" @ARGS@
}
if [ "$call" != no ]; then
  KEYWARD_CHAINED=$kept
  export KEYWARD_CHAINED
fi
name=@NAME@
case $name in
pre-push | pre-receive | post-receive | post-rewrite | reference-transaction)
  input=$(cat; echo x)
  input=${input%x}
  printf %s "$input" | "$kept" "$@" || exit $?
  unset KEYWARD_CHAINED
  [ "$call" = no ] && exit 0
  printf %s "$input" | "$keyward" hook "$call" @ARGS@
  ;;
*)
  "$kept" "$@" || exit $?
  unset KEYWARD_CHAINED
  [ "$call" = no ] && exit 0
  exec "$keyward" hook "$call" @ARGS@
  ;;
esac
