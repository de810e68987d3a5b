#!/bin/sh
# Installs the system packages that some tests need, where that is allowed without asking: Debian's
# apt, as root. Elsewhere it says what is missing; the tests that need it skip with that reason.
missing=""
command -v jackd >/dev/null 2>&1 || missing="$missing jackd2"
command -v fluidsynth >/dev/null 2>&1 || missing="$missing fluidsynth fluid-soundfont-gm"
if [ "$(uname)" = Linux ] && ! ldconfig -p 2>/dev/null | grep -q libportaudio.so.2; then
    missing="$missing libportaudio2"
fi
[ -z "$missing" ] && exit 0
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
    echo "Installing for the tests:$missing"
    export DEBIAN_FRONTEND=noninteractive
    # shellcheck disable=SC2086
    apt-get update -qq && apt-get install -y -qq --no-install-recommends $missing >/dev/null && exit 0
fi
echo "Not installed:$missing. The tests that need them will say so and skip."
