# The Go tool does the building; this file gives its commands names, finds what
# the tests need, and starts a server to try. "make help" lists what there is.

GO       ?= go
PREFIX   ?= /usr/local
MANDIR   ?= $(PREFIX)/share/man
CONFDIR  ?= /etc/portreeve
DESTDIR  ?=
DROPIN   ?=
PROGRAM  ?= ./portreeve
FUZZTIME ?= 30s
BENCH    ?= .

RELEASE := $(shell git describe --tags --always --dirty 2>/dev/null)
LDFLAGS := -s -w -X main.release=$(RELEASE)

# The linter is not in go.mod: its dependencies are nobody's business here.
LINT_VERSION := v2.15.0
LINT         := .tools/golangci-lint-$(LINT_VERSION)

# Programs that the tests run, each with the Debian package that has it. The
# race detector needs a C compiler; strace shows that downloads use sendfile;
# Java and Perl run libraries that take listings apart;
# Chromium opens the page of statistics.
CLIENTS := curl:curl lftp:lftp wget:wget ncftpput:ncftp ncftpget:ncftp tnftp:tnftp \
	inetutils-ftp:inetutils-ftp python3:python3 php:php-cli pure-ftpd:pure-ftpd pure-authd:pure-ftpd pure-pw:pure-ftpd-common unshare:util-linux \
	gawk:gawk mawk:mawk strace:strace gcc:gcc /usr/include/stdlib.h:libc6-dev /etc/ssl/certs/ca-certificates.crt:ca-certificates \
	perl:perl /usr/share/perl5/File/Listing.pm:libfile-listing-perl /usr/share/perl5/IO/Socket/SSL.pm:libio-socket-ssl-perl \
	javac:default-jdk-headless /usr/share/java/commons-net.jar:libcommons-net-java \
	rclone:rclone filezilla:filezilla Xvfb:xvfb xdotool:xdotool \
	fail2ban-regex:fail2ban chromium:chromium

# What must compile besides the machine at hand: system/processor.
PORTS := freebsd/amd64 darwin/arm64 linux/arm64

.PHONY: build
build: ## build the program, static, as ./portreeve
	CGO_ENABLED=0 $(GO) build -trimpath -buildvcs=false -ldflags '$(LDFLAGS)' -o portreeve ./cmd/portreeve

.PHONY: run
run: build ## start a server to try: user demo, port 2121, everything under ./var
	@$(start_demo)

.PHONY: test
test: clients vet lint cross ## run every test; installs the clients that they need
	CGO_ENABLED=1 $(GO) test -race -shuffle=on -timeout 15m ./...

.PHONY: vet
vet:
	$(GO) vet ./...

.PHONY: lint
lint: $(LINT) ## run the linter
	$(LINT) run ./...

$(LINT):
	@mkdir -p .tools
	GOBIN='$(CURDIR)/.tools' GOFLAGS= CGO_ENABLED=0 $(GO) install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(LINT_VERSION)
	@mv .tools/golangci-lint $@

.PHONY: cross
cross: ## compile for the other systems and processors
	@for port in $(PORTS); do \
		echo "CGO_ENABLED=0 GOOS=$${port%/*} GOARCH=$${port#*/} $(GO) build ./..."; \
		CGO_ENABLED=0 GOOS=$${port%/*} GOARCH=$${port#*/} $(GO) build -buildvcs=false ./... || exit 1; \
	done

.PHONY: clients
clients: ## install what the tests need and this machine lacks (Debian, by apt-get)
	@$(install_clients)

.PHONY: bench
bench: ## measure; BENCH=regexp chooses
	$(GO) test -run '^$$' -bench '$(BENCH)' -skip 'Peers|Analysers' -benchmem -timeout 60m ./...

# Other servers, side by side with ours. Their packages exclude each other, so
# they are unpacked, with the libraries that they bring; nothing is installed.
PEERS     := .tools/peers
PEER_DEBS := pure-ftpd pure-ftpd-common vsftpd proftpd-core proftpd-mod-crypto \
	python3-pyftpdlib python3-openssl python3-cryptography python3-cffi-backend \
	libsodium23 libwrap0 libhiredis0.14 libmemcached11 libmemcachedutil2 libhashkit2 libpcre2-posix3

.PHONY: bench-peers
bench-peers: $(PEERS) ## measure beside other servers; BENCH=regexp SERVERS=regexp ROUNDS=n choose, BEFORE=program joins in; needs root, apt-get, Linux
	PORTREEVE_PEERS='$(CURDIR)/$(PEERS)' PORTREEVE_BENCH_JSON='$(CURDIR)/.tools/bench-peers.json' PORTREEVE_BENCH_SERVERS='$(SERVERS)' \
		PORTREEVE_BENCH_ROUNDS='$(ROUNDS)' PORTREEVE_BENCH_BEFORE='$(BEFORE)' \
		$(GO) test -run '^$$' -bench 'Peers/$(BENCH)' -benchtime 1x -timeout 40m ./cmd/portreeve

$(PEERS):
	@mkdir -p .tools/debs
	cd .tools/debs && apt-get -q -o APT::Sandbox::User=root download $(PEER_DEBS)
	@set -e; for deb in .tools/debs/*.deb; do dpkg -x "$$deb" '$(PEERS).new'; done
	@rm -r .tools/debs; mv '$(PEERS).new' '$(PEERS)'

# Programs that make statistics of logs, beside ours. xferstats would be one more,
# but nobody packages it. GNU time tells what memory each took.
ANALYSERS := goaccess:goaccess webalizer:webalizer /usr/lib/cgi-bin/awstats.pl:awstats /usr/bin/time:time

.PHONY: bench-logs
bench-logs: CLIENTS := $(ANALYSERS)
bench-logs: ## measure statistics of a log beside other analysers, which it installs; BENCH=regexp ROUNDS=n choose
	@$(install_clients)
	@mkdir -p .tools
	PORTREEVE_BENCH_JSON='$(CURDIR)/.tools/bench-logs.json' PORTREEVE_BENCH_ROUNDS='$(ROUNDS)' \
		$(GO) test -run '^$$' -bench 'Analysers/$(BENCH)' -benchtime 1x -timeout 40m ./cmd/portreeve

# That the time is over while an input is tried is a failure to the Go tool, and
# none to us: an input that fails is written down.
.PHONY: fuzz
fuzz: ## run each fuzz target for FUZZTIME
	@set -e; for package in $$($(GO) list ./...); do \
		for target in $$($(GO) test -list '^Fuzz' $$package | grep '^Fuzz' || :); do \
			echo "$$package $$target"; \
			said=$$($(GO) test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) $$package 2>&1) || { \
				echo "$$said"; \
				case $$said in *'Failing input'*) exit 1;; *'context deadline exceeded'*) ;; *) exit 1;; esac; \
			}; \
		done; \
	done

.PHONY: docs
docs: build ## write the documents that are made from the code
	./portreeve docs docs
	$(GO) test -run TestConformancePage ./cmd/portreeve -update >/dev/null

# The page with charts carries a part of Apache ECharts, which is kept as it was
# built; package-lock.json pins the versions. Only who changes the part needs npm.
CHARTS := stats/page/charts

.PHONY: charts
charts: ## bundle the charts of the page of statistics anew; needs npm
	cd $(CHARTS) && npm ci --ignore-scripts --no-audit --no-fund && node build.mjs; status=$$?; rm -rf node_modules; exit $$status

.PHONY: install
install: ## install program, manual, completions and sample configuration; DESTDIR= PREFIX=, DROPIN=1 also as Pure-FTPd's programs
	@test -x '$(PROGRAM)' || $(MAKE) build
	install -d '$(DESTDIR)$(PREFIX)/bin' '$(DESTDIR)$(MANDIR)' '$(DESTDIR)$(CONFDIR)'
	install -m 755 '$(PROGRAM)' '$(DESTDIR)$(PREFIX)/bin/portreeve'
	@set -e; for page in docs/*.[1-8]; do \
		case $$page in docs/pure-*) [ '$(DROPIN)' = 1 ] || continue;; esac; \
		install -d "$(DESTDIR)$(MANDIR)/man$${page##*.}"; \
		install -m 644 "$$page" "$(DESTDIR)$(MANDIR)/man$${page##*.}/"; \
	done
	@set -e; [ '$(DROPIN)' != 1 ] || '$(PROGRAM)' docs links | while read -r folder name; do \
		install -d '$(DESTDIR)$(PREFIX)'/$$folder; \
		ln -sf ../bin/portreeve '$(DESTDIR)$(PREFIX)'/$$folder/$$name; \
	done
	install -d '$(DESTDIR)$(PREFIX)/share/portreeve'
	install -m 644 docs/grafana.json docs/alerts.yml '$(DESTDIR)$(PREFIX)/share/portreeve/'
	install -m 644 docs/portreeve.conf.sample '$(DESTDIR)$(CONFDIR)/portreeve.conf.sample'
	install -d '$(DESTDIR)$(PREFIX)/share/bash-completion/completions' \
		'$(DESTDIR)$(PREFIX)/share/zsh/site-functions' '$(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d'
	'$(PROGRAM)' completion bash >'$(DESTDIR)$(PREFIX)/share/bash-completion/completions/portreeve'
	'$(PROGRAM)' completion zsh >'$(DESTDIR)$(PREFIX)/share/zsh/site-functions/_portreeve'
	'$(PROGRAM)' completion fish >'$(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d/portreeve.fish'

.PHONY: clean
clean: ## remove what was built, the demo server and the linter
	rm -rf portreeve var .tools

.PHONY: help
help: ## list the targets
	@sed -n 's/^\([a-z-]*\):[^#]*## /\1 /p' Makefile | while read -r target what; do printf '  make %-11s %s\n' "$$target" "$$what"; done

# The demo user's files belong to whoever owns this folder. Root is no FTP user,
# so if it is root's they belong to nobody, whom root's server acts as then; and
# if nobody may not enter a folder above this one, they are in /var/tmp.
define start_demo
set -eu; \
bind=127.0.0.1,2121; \
set -- $$(ls -nd .); uid=$$3 gid=$$4; \
[ "$$uid" -ne 0 ] || uid=$$(id -u nobody); \
[ "$$gid" -ne 0 ] || gid=$$(id -g nobody); \
mkdir -p var/demo; \
home='$(CURDIR)/var/demo' closed=''; \
if [ "$$(id -u)" -eq 0 ]; then \
	chown "$$3:$$4" var; \
	above=$$home; \
	while above=$${above%/*}; [ -n "$$above" ]; do \
		set -- $$(ls -nd "$$above"); \
		case $$3:$$1 in "$$uid":*|*:?????????[xt]*) ;; *) closed=$$above;; esac; \
	done; \
	chown "$$uid:$$gid" var/demo; \
fi; \
if ./portreeve pw show demo --db var/users.db >/dev/null 2>&1; then \
	login='-u demo'; \
	echo "User demo has the password that was printed when it was made; ./portreeve pw passwd demo --db var/users.db sets another."; \
else \
	if [ -n "$$closed" ]; then \
		home=$$(mktemp -d /var/tmp/portreeve-demo.XXXXXX); \
		chown "$$uid:$$gid" "$$home"; \
	fi; \
	password=$$(LC_ALL=C tr -dc 'a-km-z2-9' </dev/urandom | head -c 12); \
	printf '%s\n%s\n' "$$password" "$$password" | \
		./portreeve pw useradd demo -u "$$uid" -g "$$gid" -d "$$home" --db var/users.db >/dev/null; \
	login="-u demo:$$password"; \
	echo "User demo, password $$password, files under $$home. This is not shown again."; \
fi; \
echo; \
echo "To try, in another terminal:"; \
echo "  curl $$login -T README.md ftp://127.0.0.1:2121/"; \
echo "  ./portreeve who --socket var/portreeve.sock"; \
echo "  ./portreeve pw list --db var/users.db"; \
echo; \
exec ./portreeve serve --config /dev/null --bind "$$bind" --passiveportrange 30000:30100 \
	--userdb "$(CURDIR)/var/users.db" --controlsocket "$(CURDIR)/var/portreeve.sock"
endef

# A server that Debian would start on installing it (Pure-FTPd, whose hashes
# and logins the tests compare with ours) must not run on a developer's machine.
define install_clients
set -u; PATH="$$PATH:/usr/sbin:/sbin"; missing=''; \
for client in $(CLIENTS); do \
	case $$client in \
	/*) [ -e "$${client%:*}" ];; \
	*) command -v "$${client%:*}" >/dev/null;; \
	esac || missing="$$missing $${client#*:}"; \
done; \
[ -n "$$missing" ] || exit 0; \
missing=$$(printf '%s\n' $$missing | sort -u | tr '\n' ' '); \
echo "The tests need these Debian packages, which are not installed: $$missing"; \
if ! command -v apt-get >/dev/null; then \
	echo "There is no apt-get here: please install them by other means." >&2; exit 1; \
elif [ "$$(id -u)" -eq 0 ]; then as_root=; \
elif command -v sudo >/dev/null; then as_root=sudo; \
else \
	echo "Neither root nor sudo is at hand: please run as root: apt-get install $$missing" >&2; exit 1; \
fi; \
$$as_root env DEBIAN_FRONTEND=noninteractive sh -eu -c ' \
	deny=/usr/sbin/policy-rc.d; \
	if [ ! -e $$deny ]; then \
		trap "rm -f $$deny" EXIT; \
		printf "#!/bin/sh\nexit 101\n" >$$deny; \
		chmod 755 $$deny; \
	fi; \
	apt-get update -q; \
	apt-get install -q -y --no-install-recommends --no-remove "$$@"; \
	case " $$* " in *" pure-ftpd "*) update-rc.d pure-ftpd disable;; esac' sh $$missing || \
{ echo "Installing failed; please run as root: apt-get install $$missing" >&2; exit 1; }
endef
