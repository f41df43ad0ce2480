# shellcheck shell=bash
# Several machines on one: sourced after lib.sh by cluster.sh. Every machine is a set of namespaces (network, mounts,
# processes, host name) whose first process takes everything along when it ends, with an engine of its own.
#
#   machine n1 ─┐                      10.77.RUN.1      each machine has one link, to the router, and looks like a
#   machine n2 ─┼─ router ─ this host  10.77.RUN.254    bare Debian: its own /run, /var/lib/docker and docker.sock.
#   machine n3 ─┘                      10.77.RUN.253    All that passes between machines passes the router, so that
#                                                       links are cut there and no machine has to know.
#
# FOLDER holds: run   the number RUN of this ground        n1/ n2/ …   a folder for each machine:
#   init.pid    the machine's first process    run/docker.sock   its engine, for `docker -H`
#   dockerd.log dockerd.json resolv.conf docker/

# How long an engine may take to answer. Seconds.
ENGINE_SECONDS=60
# Grounds that may stand at the same time on one host.
MAX_RUNS=250
HOST_PART=253
ROUTER_PART=254
# The bad network between machines, its table of routes, and how many packets may wait at its door.
FABRIC=$HERE/fabric.py
FABRIC_TABLE=77
FABRIC_QUEUE=5000

# run_number: of the ground in FOLDER.
# shellcheck disable=SC2153 # the script that sources this sets FOLDER
run_number() { cat "$FOLDER/run"; }

# netns I, or `netns router`
netns() { printf 'temps-%s-%s\n' "$(run_number)" "${1/#[0-9]/n$1}"; }

# ip_of PART: the address of a machine, the host or the router.
ip_of() { printf '10.77.%s.%s\n' "$(run_number)" "$1"; }

# host_link: what this host's link to the router is called.
host_link() { printf 'temps-%s\n' "$(run_number)"; }

# machines: the numbers of those that have a folder.
machines() { find "$FOLDER" -mindepth 1 -maxdepth 1 -name 'n[1-9]*' -printf '%f\n' | tr -d n | sort -n; }

# take_run_number: the router's name can be taken only once, which makes this safe against others who do the same.
take_run_number() {
    local run
    for ((run = 1; run <= MAX_RUNS; run++)); do
        ip netns add "temps-$run-router" 2>/dev/null || continue
        printf '%s\n' "$run" >"$FOLDER/run"
        return
    done
    printf 'all %s numbers are taken\n' "$MAX_RUNS"
    return 1
}

make_network() {
    take_run_number
    local router link
    router=$(netns router) link=$(host_link)
    ip link add "$link" type veth peer name host netns "$router"
    connect_to_router "$link" "$HOST_PART"
    ip route add "$(ip_of 0)/24" via "$(ip_of $ROUTER_PART)" dev "$link"
    ip -n "$router" link set lo up
    add_router_port host "$HOST_PART"
    # What is sent to a machine that is off gets no answer at all.
    ip -n "$router" route add blackhole "$(ip_of 0)/24"
    ip -n "$router" route add default via "$(ip_of $HOST_PART)" dev host
    ip netns exec "$router" sysctl -q net.ipv4.ip_forward=1
    make_chains
    # Those of a cluster that was cut off while nobody could remove them.
    while way_out -D 2>/dev/null; do :; done
    way_out -I
}

# connect_to_router LINK PART [IP OPTION…]
connect_to_router() {
    ip "${@:3}" addr add "$(ip_of "$2")/32" dev "$1"
    ip "${@:3}" link set "$1" up
    ip "${@:3}" route add "$(ip_of $ROUTER_PART)" dev "$1" scope link
}

# add_router_port LINK PART
add_router_port() {
    local router
    router=$(netns router)
    ip -n "$router" addr add "$(ip_of $ROUTER_PART)/32" dev "$1"
    ip -n "$router" link set "$1" up
    ip -n "$router" route add "$(ip_of "$2")" dev "$1" scope link
}

# way_out -I|-D: lets the machines reach what this host reaches, for builds that fetch packages.
way_out() {
    local link net
    link=$(host_link) net=$(ip_of 0)/24
    iptables -w "$1" FORWARD -i "$link" -j ACCEPT
    iptables -w "$1" FORWARD -o "$link" -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
    iptables -w -t nat "$1" POSTROUTING -s "$net" ! -o "$link" -j MASQUERADE
}

remove_network() {
    calm_links
    way_out -D 2>/dev/null || true
    ip link del "$(host_link)" 2>/dev/null || true
    ip netns del "$(netns router)" 2>/dev/null || true
}

# --- one machine -----------------------------------------------------------------------------------------------------

# init_pid I
init_pid() { cat "$FOLDER/n$1/init.pid" 2>/dev/null; }

machine_runs() { [[ -d /proc/$(init_pid "$1" || echo none)/ns ]] && ! pid_is_gone "$(init_pid "$1")"; }

make_machine_network() {
    local name
    name=$(netns "$1")
    ip netns add "$name"
    ip link add "p$1" netns "$(netns router)" type veth peer name eth0 netns "$name"
    ip -n "$name" link set lo up
    connect_to_router eth0 "$1" -n "$name"
    ip -n "$name" route add default via "$(ip_of $ROUTER_PART)" dev eth0
    add_router_port "p$1" "$1"
}

# write_machine I: its folder. The bridges' addresses are private to the machine, but told apart in logs.
write_machine() {
    local folder=$FOLDER/n$1
    # Nothing of /run outlives a boot; an old pid file there would be taken for a process of this one.
    rm -rf "$folder/run" "$folder/init.pid"
    mkdir -p "$folder/run/lock" "$folder/docker"
    cat /run/systemd/resolve/resolv.conf >"$folder/resolv.conf" 2>/dev/null || cat /etc/resolv.conf >"$folder/resolv.conf"
    cat >"$folder/dockerd.json" <<JSON
{ "bip": "10.78.$1.1/24", "storage-driver": "overlay2", "insecure-registries": ["$(ip_of 0)/24"],
  "exec-opts": ["native.cgroupdriver=cgroupfs"], "cgroup-parent": "/$(netns "$1")" }
JSON
}

# The machine's first process. /proc still counts from the host when it writes its own number down. It outlives its
# engine and inherits whom a parent left behind. Not `ip netns exec`, which hides the cgroups.
# shellcheck disable=SC2016 # expanded in the machine
MACHINE_INIT='
    folder=$1
    read -r pid _ </proc/self/stat
    mount -t proc proc /proc
    mount --bind "$folder/resolv.conf" /etc/resolv.conf
    mkdir -p /var/lib/docker
    mount --bind "$folder/docker" /var/lib/docker
    store=$(cat "$folder/../store" || true)
    for layer in ${store:+"$store"/overlay2/*/diff}; do
        place=/var/lib/docker${layer#"$store"}
        [[ ! -d $place ]] || mount --options bind,ro "$layer" "$place"
    done
    mount --bind "$folder/run" /run
    hostname "${folder##*/}"
    dockerd --config-file "$folder/dockerd.json" >>"$folder/dockerd.log" 2>&1 &
    printf "%s\n" "$pid" >"$folder/init.pid"
    sleep infinity & wait $!'

# boot_machine I: returns when its engine answers.
boot_machine() {
    local folder=$FOLDER/n$1
    write_machine "$1"
    make_machine_network "$1"
    setsid nsenter --net="/run/netns/$(netns "$1")" \
        unshare --mount --propagation slave --pid --fork --kill-child --uts --ipc \
        bash -euc "$MACHINE_INIT" init "$folder" >>"$folder/dockerd.log" 2>&1 </dev/null 9>&- &
    wait_until "$ENGINE_SECONDS" machine_docker "$1" version || {
        tail -n "$STEP_LOG_TAIL" "$folder/dockerd.log"
        return 1
    }
}

# start_engine I: of a machine whose engine has ended; returns when it answers.
start_engine() {
    local folder=$FOLDER/n$1
    machine_docker "$1" version >/dev/null 2>&1 && return
    machine_spawn "$1" "$folder/dockerd.pid" "$folder/dockerd.log" dockerd --config-file "$folder/dockerd.json"
    wait_until "$ENGINE_SECONDS" machine_docker "$1" version
}

# machine_docker I COMMAND…: its engine, from outside.
machine_docker() { docker -H "unix://$FOLDER/n$1/run/docker.sock" "${@:2}"; }

# machine_spawn I PID-FILE LOG COMMAND…: starts a command in the machine, apart from this script.
# The pid file gets its number as the host counts; the mounts are entered last, because /proc changes with them.
machine_spawn() {
    local init
    init=$(init_pid "$1")
    rm -f "$2"
    # shellcheck disable=SC2016 # expanded in the machine
    nsenter --target "$init" --net --pid --uts --ipc setsid --fork bash -euc '
        read -r pid _ </proc/self/stat
        printf "%s\n" "$pid" >"$1"
        exec nsenter --mount="/proc/$2/ns/mnt" "${@:3}"' spawn "$2" "$init" "${@:4}" >>"$3" 2>&1 </dev/null 9>&-
    wait_until 5 test -s "$2"
}

# power_off I: its link goes first, so that nobody is told that its connections end.
power_off() {
    local pid
    ip -n "$(netns router)" link del "p$1" 2>/dev/null || true
    if pid=$(init_pid "$1"); then
        kill -9 "$pid" 2>/dev/null || true
        thaw_containers "$1"
        wait_until 20 pid_is_gone "$pid"
    fi
    # A boot that was broken off may not have written its pid down yet.
    ip netns pids "$(netns "$1")" 2>/dev/null | xargs -r kill -9 2>/dev/null || true
    rm -f "$FOLDER/n$1/init.pid"
    ip netns del "$(netns "$1")" 2>/dev/null || true
    remove_cgroups "$1"
}

# thaw_containers I: what is frozen, as kept versions are, ends only once it is thawed. Cgroups come and go meanwhile.
thaw_containers() {
    find /sys/fs/cgroup -path "/sys/fs/cgroup/*$(netns "$1")*" -name freezer.state \
        -exec sh -c 'for state; do echo THAWED >"$state"; done' thaw {} + 2>/dev/null || true
}

remove_cgroups() {
    find /sys/fs/cgroup -depth -type d -path "/sys/fs/cgroup/*$(netns "$1")*" -exec rmdir {} + 2>/dev/null || true
}

# --- images ----------------------------------------------------------------------------------------------------------

# need_image_store FOLDER IMAGE…: the engine's files for these images of this host's engine, loaded once; prints where.
need_image_store() {
    local cache=$1 store
    shift
    store=$cache/store-$(printf '%s\n' "$@" "$(docker image inspect -f '{{.Id}}' "$@")" | sha256sum | cut -c1-16)
    [[ -d $store ]] || make_image_store "$store" "$@" >&2
    printf '%s\n' "$store"
}

# make_image_store STORE IMAGE…: by a machine 0 that lives for this alone. Older stores that nobody mounts go.
make_image_store() {
    local old
    for old in "${1%/*}"/store-*; do
        grep -qsF "/${old##*/}/" /proc/[0-9]*/mountinfo || rm -rf "$old"
    done
    mkdir -p "$1.new"
    boot_machine 0
    docker save "${@:2}" | machine_docker 0 load
    power_off 0
    mv "$FOLDER"/n0/docker/{image,overlay2} "$1.new"
    rm -rf "$FOLDER/n0"
    mv "$1.new" "$1"
}

# give_images I STORE: the images' names and layers, but not the files, which the machine mounts from the store.
# Layers are never written to, so one copy is enough; copying or linking every file would take longer than booting.
give_images() {
    local layers=$FOLDER/n$1/docker/overlay2 layer
    mkdir -p "$layers"
    cp -a "$2/image" "$FOLDER/n$1/docker/"
    cp -a "$2/overlay2/l" "$layers/"
    for layer in "$2"/overlay2/*/diff; do
        layer=${layer%/diff}
        mkdir -p "$layers/${layer##*/}/diff"
        find "$layer" -mindepth 1 -maxdepth 1 ! -name diff -exec cp -a -t "$layers/${layer##*/}" {} +
    done
}

# --- links -----------------------------------------------------------------------------------------------------------

# in_router TOOL…: of the router's packet filter.
in_router() { nsenter --net="/run/netns/$(netns router)" "$@"; }

# make_chains: those of cut links and of ports that lead elsewhere are apart, for each is emptied on its own.
make_chains() {
    local chain
    for chain in links ports; do
        in_router iptables -w -N "$chain"
        in_router iptables -w -A FORWARD -j "$chain"
    done
}

# cut_links FROM:TO…: nothing passes that way from one machine to the other, all at the same moment.
cut_links() {
    local pair rules=''
    for pair; do rules+="-A links -s $(ip_of "${pair%:*}") -d $(ip_of "${pair#*:}") -j DROP"$'\n'; done
    printf '*filter\n%sCOMMIT\n' "$rules" | in_router iptables-restore --noflush
}

# lost_packets: how many were lost since links were cut.
lost_packets() { in_router iptables -w -nvxL links | awk '/DROP/ { lost += $1 } END { print lost + 0 }'; }

heal_links() {
    calm_links
    in_router iptables -w -F links
}

# shaken: what the bad network has done so far; fails when there is none any more.
shaken() {
    : >"$FOLDER/fabric.log"
    kill -USR1 "$(cat "$FOLDER/fabric.pid")"
    wait_until 5 grep -q taken "$FOLDER/fabric.log"
    cat "$FOLDER/fabric.log"
}

# shake_links OPTION…: what machines send each other passes a bad network (fabric.py), which has a table of routes for it;
# what they send this host does not.
shake_links() {
    local router i
    router=$(netns router)
    calm_links
    : >"$FOLDER/fabric.log"
    setsid nsenter --net="/run/netns/$router" "$FABRIC" fabric "$@" >>"$FOLDER/fabric.log" 2>&1 </dev/null 9>&- &
    printf '%s\n' $! >"$FOLDER/fabric.pid"
    wait_until 5 ip -n "$router" link show fabric >/dev/null 2>&1 || {
        cat "$FOLDER/fabric.log"
        return 1
    }
    ip -n "$router" link set fabric up txqueuelen "$FABRIC_QUEUE"
    # What comes back has a machine's address, and that machine is elsewhere.
    nsenter --net="/run/netns/$router" sysctl -q net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.fabric.rp_filter=0
    for i in $(machines); do
        ip -n "$router" route replace "$(ip_of "$i")/32" dev fabric table "$FABRIC_TABLE"
        ip -n "$router" rule add iif "p$i" lookup "$FABRIC_TABLE"
    done
}

# divert_ports PORT[:TO]…: what machines send to this host's PORT goes to its port TO instead, or is refused, for at the
# router nobody listens; none is diverted any more when there is no PORT. Connections that are open to it already are reset.
divert_ports() {
    local way host
    host=$(ip_of "$HOST_PART")
    in_router iptables -w -t nat -F PREROUTING
    in_router iptables -w -F ports
    for way; do
        local target=(REDIRECT)
        [[ $way != *:* ]] || target=(DNAT --to-destination "$host:${way#*:}")
        in_router iptables -w -t nat -A PREROUTING -p tcp -d "$host" --dport "${way%:*}" -j "${target[@]}"
        in_router iptables -w -A ports -p tcp -d "$host" --dport "${way%:*}" -j REJECT --reject-with tcp-reset
    done
}

# asked PORT: how many packets machines have sent to this host's PORT since this was asked before.
asked() {
    local rule=(PREROUTING -p tcp -d "$(ip_of "$HOST_PART")" --dport "$1")
    in_router iptables -w -t mangle -C "${rule[@]}" 2>/dev/null || in_router iptables -w -t mangle -A "${rule[@]}"
    in_router iptables -w -t mangle -nvxL PREROUTING -Z | awk -v port="dpt:$1" '$0 ~ port { print $1 }'
}

# calm_links: the device and its routes go with their process.
calm_links() {
    local router pid
    router=$(netns router)
    pid=$(cat "$FOLDER/fabric.pid" 2>/dev/null) || return 0
    while ip -n "$router" rule del lookup "$FABRIC_TABLE" 2>/dev/null; do :; done
    kill "$pid" 2>/dev/null || true
    wait_until 5 pid_is_gone "$pid"
    rm -f "$FOLDER/fabric.pid"
}

# pairs_between GROUP…: each FROM:TO whose ends are in different groups; a group is written 1,2,3.
pairs_between() {
    local from to a b
    for from; do
        for to; do
            [[ $from != "$to" ]] || continue
            for a in ${from//,/ }; do for b in ${to//,/ }; do printf '%s:%s\n' "$a" "$b"; done; done
        done
    done
}
