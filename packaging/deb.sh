#!/usr/bin/env bash
# Makes PLACE/mlops_VERSION-1_ARCH.deb of the folder that dist.sh has put together, TIME being seconds since 1970:
#   packaging/deb.sh FOLDER VERSION ARCH TIME PLACE
# The files are those that install.sh puts into /usr, with the documentation. The package makes the user mlops and
# starts nothing: whoever wants the units to run enables them, see docs/installing.md.
set -euo pipefail
umask 022
tree=$(cd "$1" && pwd) version=$2-1 time=$4 place=$(cd "$5" && pwd)
case $3 in x86_64) arch=amd64 ;; aarch64) arch=arm64 ;; *) arch=$3 ;; esac
name=mlops_${version}_$arch.deb
maintainer="The authors of mlops <mlops@localhost>"
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
chmod 755 "$root"

DESTDIR=$root "$tree/install.sh" install /usr "$tree" > /dev/null
# dpkg keeps a list of its own; zsh of Debian looks elsewhere; manual pages are packed.
rm -r "$root/usr/share/mlops"
mv "$root/usr/share/zsh/site-functions" "$root/usr/share/zsh/vendor-completions"
gzip -9 --no-name "$root"/usr/share/man/man1/*.1
doc=$root/usr/share/doc/mlops
mkdir -p "$doc"
cp -r "$tree"/{README.md,SECURITY.md,docs,example,sbom.cdx.json,LICENSES.txt} "$doc"
gzip -9 --no-name < "$tree/CHANGELOG.md" > "$doc/changelog.gz"
gzip -9 --no-name > "$doc/changelog.Debian.gz" << END
mlops ($version) unstable; urgency=medium

  * What is new is in changelog.gz beside this file.

 -- $maintainer  $(LC_ALL=C date -u -R -d "@$time")
END
{
    echo "mlops is under the MIT licence or the Apache licence 2.0, at your option."
    echo "The licences of what is built in are in LICENSES.txt beside this file."
    echo
    cat "$tree/LICENSE-MIT"
    echo
    echo "The Apache licence 2.0 is in /usr/share/common-licenses/Apache-2.0."
} > "$doc/copyright"

chmod -R u=rwX,go=rX "$root/usr"
mkdir "$root/DEBIAN"
cat > "$root/DEBIAN/control" << END
Package: mlops
Version: $version
Architecture: $arch
Maintainer: $maintainer
Installed-Size: $(du -sk --apparent-size "$root/usr" | cut -f 1)
Section: science
Priority: optional
Depends: passwd
Recommends: ca-certificates
Description: life of a classifier of table rows, from files to predictions
 It ingests files, trains a logistic regression, scores it, deploys it
 atomically, serves it over HTTP, watches it for drift, and retrains it from
 cron or a timer. One statically linked executable holds all of its programs.
END
cat > "$root/DEBIAN/postinst" << 'END'
#!/bin/sh
set -e
if [ "$1" = configure ]; then
    getent passwd mlops > /dev/null ||
        useradd --system --user-group --home-dir /var/lib/mlops --no-create-home --shell /usr/sbin/nologin mlops
    [ -d /var/lib/mlops ] || install -d -o mlops -g mlops -m 750 /var/lib/mlops
    [ ! -d /run/systemd/system ] || systemctl daemon-reload
fi
END
cat > "$root/DEBIAN/prerm" << 'END'
#!/bin/sh
set -e
if [ "$1" = remove ] && [ -d /run/systemd/system ]; then
    systemctl disable --now --quiet mlops-fullprocess.timer mlops-fullprocess.service mlops-app.service || true
fi
END
cat > "$root/DEBIAN/postrm" << 'END'
#!/bin/sh
set -e
# Workspaces and the user stay, also after a purge: data are nobody's to remove but their owner's.
[ ! -d /run/systemd/system ] || systemctl daemon-reload
END
chmod 755 "$root/DEBIAN/postinst" "$root/DEBIAN/prerm" "$root/DEBIAN/postrm"
(cd "$root" && find usr -type f -exec md5sum {} + | LC_ALL=C sort -k 2 > DEBIAN/md5sums)
# Packed by one thread, since the number of them can be seen in the bytes.
SOURCE_DATE_EPOCH=$time DPKG_DEB_THREADS_MAX=1 dpkg-deb --root-owner-group -Zxz --build "$root" "$place/$name" > /dev/null
(cd "$place" && sha256sum "$name" | tee "$name.sha256")
