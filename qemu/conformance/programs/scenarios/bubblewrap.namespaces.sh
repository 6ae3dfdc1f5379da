# 60 inside
bwrap --ro-bind / / --dev /dev --proc /proc --tmpfs /tmp --unshare-all --die-with-parent /bin/sh -c 'echo inside; ls /proc | grep -c "^[0-9]"; touch /file; touch /tmp/file && echo written'
bwrap --ro-bind / / --unshare-user --uid 1000 /bin/sh -c 'id -u'
