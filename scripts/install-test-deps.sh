#!/usr/bin/env bash
# Sees to it that the programs of others which `make test` uses are here: mail
# programs, WebSocket clients and a reverse proxy, since a server that is tested
# with its own clients only proves that they agree with each other.
#
# On Debian, as root, it installs what is missing, without questions and without
# starting anything. Elsewhere it says what is missing, and fails.
set -euo pipefail

# One line for each: the Debian package, and how to see that it is here. The
# Python modules are those of the system's Python, whatever else the PATH has.
needed() {
  cat <<'LIST'
gcc                command -v gcc
libc6-dev          test -e /usr/include/stdlib.h
curl               command -v curl
openssl            command -v openssl
jq                 command -v jq
python3            test -x /usr/bin/python3
python3-websockets /usr/bin/python3 -c 'import websockets'
python3-aiohttp    /usr/bin/python3 -c 'import aiohttp'
python3-dkim       /usr/bin/python3 -c 'import dkim'
python3-nacl       /usr/bin/python3 -c 'import nacl.signing'
python3-dnspython  /usr/bin/python3 -c 'import dns.message'
postgresql         ls /usr/lib/postgresql/*/bin/initdb || command -v initdb
sqlite3            command -v sqlite3
strace             command -v strace
swaks              command -v swaks
libnet-ssleay-perl perl -MNet::SSLeay -e 1
postfix            PATH=$PATH:/usr/sbin command -v smtp-source
nginx              PATH=$PATH:/usr/sbin command -v nginx
chromium           command -v chromium
nodejs             command -v node
npm                command -v npm
poppler-utils      command -v pdftotext
tesseract-ocr      command -v tesseract
procps             command -v pgrep
iproute2           PATH=$PATH:/usr/sbin:/sbin command -v ip
util-linux         command -v unshare
LIST
}

# missing prints the packages that are not here, one on a line.
missing() {
  needed | while read -r package look; do
    bash -c "$look" </dev/null >/dev/null 2>&1 || echo "$package"
  done
}

# install installs packages. Nothing asks, and nothing is started: postfix is
# left unconfigured, PostgreSQL gets no cluster (the tests make their own, in a
# temporary folder), and policy-rc.d refuses to start services.
install() {
  export DEBIAN_FRONTEND=noninteractive
  local clusters=/etc/postgresql-common/createcluster.conf
  if [ ! -e "$clusters" ]; then
    mkdir -p "$(dirname "$clusters")"
    echo "create_main_cluster = false" >"$clusters"
  fi
  local policy=/usr/sbin/policy-rc.d
  if [ ! -e "$policy" ]; then
    trap 'rm -f /usr/sbin/policy-rc.d' EXIT
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod +x "$policy"
  fi
  echo "postfix postfix/main_mailer_type select No configuration" | debconf-set-selections
  apt-get update -qq
  apt-get install -y -qq --no-install-recommends "$@" >/dev/null
}

lacking=$(missing)
[ -n "$lacking" ] || exit 0
# shellcheck disable=SC2086 # the list is split into its words
if [ "$(id -u)" = 0 ] && command -v apt-get debconf-set-selections >/dev/null; then
  echo "installing for the tests:" $lacking
  install $lacking
  lacking=$(missing)
fi
if [ -n "$lacking" ]; then
  echo "make test needs programs that are not here; these are their Debian packages:" >&2
  echo "  apt-get install" $lacking >&2
  exit 1
fi
