"""The Alertmanager of Debian's package, which reads a template from /usr/share."""

import os


def command(root, *arguments):
    """Runs it in a mount namespace where /usr/share also has the files of the unpacked package in `root`."""
    mount = 'mount -t overlay overlay -o "lowerdir=$0/usr/share:/usr/share" /usr/share && exec "$0/usr/bin/prometheus-alertmanager" "$@"'
    namespace = ["--mount"] if os.geteuid() == 0 else ["--mount", "--user", "--map-root-user"]
    return ["unshare", *namespace, "sh", "-c", mount, str(root), "--cluster.listen-address=", *arguments]
