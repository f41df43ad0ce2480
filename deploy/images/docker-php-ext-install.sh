#!/bin/sh
set -e
# Debian has PHP's extensions as packages; those without one are built into its PHP already.
apt-get update -q
for name; do
    case $name in
    -*) continue ;;
    pdo_mysql | mysqli) package=php-mysql ;;
    pdo_pgsql | pgsql) package=php-pgsql ;;
    pdo_sqlite) package=php-sqlite3 ;;
    *) package=php-$name ;;
    esac
    if apt-cache show "$package" >/dev/null 2>&1; then
        apt-get install -qy --no-install-recommends "$package"
    fi
done
rm -rf /var/lib/apt/lists/*
