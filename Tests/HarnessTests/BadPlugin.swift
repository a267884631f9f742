/// A plugin that breaks rules on purpose: a source in `BadPlugins`, and the checks that must catch it.
struct BadPlugin: Sendable, CustomStringConvertible {
    enum Role: String, Sendable {
        case resolver
        case registry
    }

    let name: String
    var role = Role.resolver
    /// Each must be failed, or crashed. Others may be as well.
    let caughtBy: [String]

    init(_ name: String, _ role: Role = .resolver, _ caughtBy: String...) {
        self.name = name
        self.role = role
        self.caughtBy = caughtBy
    }

    var description: String { name }

    static let all: [BadPlugin] = [
        // The file and its note.
        BadPlugin("executable", .resolver, "file.elf"),
        BadPlugin("misnamed", .resolver, "file.name"),
        BadPlugin("world_writable", .resolver, "file.trust", "file.host"),
        BadPlugin("missing_symbol", .resolver, "file.entry", "file.one-symbol", "file.loads"),
        BadPlugin("extra_symbols", .resolver, "file.one-symbol"),
        BadPlugin("unresolved", .resolver, "file.loads"),
        BadPlugin("constructor", .resolver, "file.quiet"),
        BadPlugin("no_note", .resolver, "note.present", "file.host"),
        BadPlugin("overfull_note", .resolver, "note.layout", "note.modes", "file.host"),
        BadPlugin("wrong_major", .resolver, "note.version", "file.host"),
        BadPlugin("bad_mode", .resolver, "note.modes", "file.host"),
        BadPlugin("two_versions", .resolver, "note.one-version", "file.host"),
        BadPlugin("lying_note", .resolver, "descriptor.note"),
        // The descriptor.
        BadPlugin("small_descriptor", .resolver, "descriptor.returned"),
        BadPlugin("no_destroy", .resolver, "descriptor.functions"),
        BadPlugin("no_modes", .resolver, "descriptor.modes"),
        BadPlugin("two_faces", .resolver, "descriptor.constant"),
        BadPlugin("old_friends", .resolver, "version.newer-minor"),
        BadPlugin("any_host", .resolver, "version.other-major"),
        BadPlugin("bad_texts", .resolver, "texts.valid", "texts.id"),
        BadPlugin("bad_schema", .resolver, "texts.schema"),
        // Configurations and arguments.
        BadPlugin("picky", .resolver, "config.accepted", "lifecycle.create"),
        BadPlugin("gullible", .resolver, "config.rejected"),
        BadPlugin("speechless", .resolver, "config.explained", "config.empty"),
        BadPlugin("crash_on_empty", .resolver, "config.empty"),
        BadPlugin("config_on_stack", .resolver, "config.huge"),
        BadPlugin("recursive", .resolver, "config.deep"),
        BadPlugin("echoes_bytes", .resolver, "config.binary"),
        BadPlugin("trusts_braces", .resolver, "config.damaged", "arguments.bounds"),
        BadPlugin("early_bird", .resolver, "config.offline"),
        BadPlugin("strict_sizes", .resolver, "arguments.growth"),
        BadPlugin("reads_past_end", .resolver, "arguments.bounds"),
        BadPlugin("writes_arguments", .resolver, "arguments.bounds"),
        BadPlugin("keeps_arguments", .resolver, "arguments.copied"),
        BadPlugin("picky_key", .resolver, "arguments.strange"),
        // Lifecycle, interfaces, leaks and threads.
        BadPlugin("once", .resolver, "lifecycle.again"),
        BadPlugin("shares_config", .resolver, "lifecycle.apart"),
        BadPlugin("alone", .resolver, "lifecycle.several"),
        BadPlugin("crash_unused", .resolver, "lifecycle.unused"),
        BadPlugin("slow_destroy", .resolver, "lifecycle.brief"),
        BadPlugin("leaks_refused", .resolver, "lifecycle.refused"),
        BadPlugin("incomplete", .resolver, "interfaces.complete"),
        BadPlugin("offers_all", .resolver, "interfaces.unknown"),
        BadPlugin("moving_table", .resolver, "interfaces.stable"),
        BadPlugin("leaks_instances", .resolver, "leaks.instances"),
        BadPlugin("leaks_descriptors", .resolver, "leaks.instances"),
        BadPlugin("leaks_threads", .resolver, "leaks.instances", "threads.joined"),
        BadPlugin("leaks_calls", .resolver, "leaks.calls"),
        BadPlugin("leaks_failures", .resolver, "leaks.failures"),
        BadPlugin("leaks_cancelled", .resolver, "leaks.cancelled"),
        BadPlugin("thread_bound", .resolver, "threads.any"),
        BadPlugin("one_at_a_time", .resolver, "threads.parallel"),
        BadPlugin("open_signals", .resolver, "threads.blocked"),
        BadPlugin("foreign_sink", .resolver, "threads.sink"),
        BadPlugin("late_sink", .resolver, "threads.sink"),
        // Calls.
        BadPlugin("broken", .resolver, "calls.work"),
        BadPlugin("tires", .resolver, "calls.repeated"),
        BadPlugin("wrong_lengths", .resolver, "calls.limits"),
        BadPlugin("bad_results", .registry, "calls.results"),
        BadPlugin("strange_status", .resolver, "calls.status"),
        BadPlugin("wordless", .resolver, "calls.message"),
        BadPlugin("vague", .resolver, "calls.server"),
        BadPlugin("uses_freed", .resolver, "calls.work"),
        BadPlugin("throws", .resolver, "calls.work"),
        BadPlugin("exits", .resolver, "calls.work"),
        BadPlugin("crash_in_entry", .resolver, "descriptor.returned"),
        BadPlugin("crash_in_create", .resolver, "lifecycle.create"),
        BadPlugin("crash_in_destroy", .resolver, "lifecycle.create"),
        BadPlugin("frees_twice", .resolver, "lifecycle.create"),
        BadPlugin("crash_in_call", .resolver, "calls.work"),
        BadPlugin("crash_in_wait", .resolver, "watch.empty-token"),
        BadPlugin("crash_in_describe", .resolver, "status.object"),
        BadPlugin("hangs", .resolver, "calls.work", "deadlines.past"),
        // Time and the server.
        BadPlugin("ignores_deadline", .resolver, "deadlines.silence", "deadlines.past"),
        BadPlugin("restarts_timer", .resolver, "deadlines.dribble"),
        BadPlugin(
            "ignores_cancel", .resolver, "deadlines.cancel", "deadlines.cancelled-before",
            "watch.cancel"),
        BadPlugin("closes_cancel", .resolver, "deadlines.descriptor"),
        BadPlugin(
            "optimist", .resolver, "faults.down", "faults.reset", "faults.status",
            "faults.html", "faults.garbage", "faults.truncated", "deadlines.status"),
        BadPlugin("hungry", .resolver, "faults.giant"),
        BadPlugin("sulks", .resolver, "faults.recovery"),
        BadPlugin("one_connection", .resolver, "faults.restart"),
        BadPlugin("hammers", .resolver, "faults.storm"),
        BadPlugin("hangs_after_failure", .resolver, "watch.restart"),
        // Resolvers and registries.
        BadPlugin("invents_address", .resolver, "resolver.addresses"),
        BadPlugin("keeps_first_answer", .resolver, "resolver.change"),
        BadPlugin("invents_record", .registry, "registry.absent"),
        BadPlugin(
            "overwrites", .registry, "registry.create", "registry.update", "registry.race",
            "registry.contention"),
        BadPlugin("resurrects", .registry, "registry.update-absent"),
        BadPlugin("erases_anyway", .registry, "registry.erase"),
        BadPlugin("same_revision", .registry, "registry.revisions"),
        BadPlugin("racy", .registry, "registry.contention"),
        BadPlugin("lists_all", .registry, "registry.list"),
        BadPlugin("text_only", .registry, "registry.values"),
        BadPlugin("short_names", .registry, "registry.names"),
        BadPlugin("one_key", .registry, "registry.keys"),
        BadPlugin("stale", .registry, "registry.fresh"),
        BadPlugin("reads_stale", .registry, "registry.fresh"),
        BadPlugin("in_memory", .registry, "registry.processes"),
        BadPlugin("locks_process", .registry, "registry.processes-race"),
        BadPlugin("trusts_proxy", .registry, "faults.proxy"),
        BadPlugin("same_page", .registry, "registry.pages"),
        BadPlugin("hangs_in_update", .resolver, "calls.update"),
        BadPlugin("claims_success", .registry, "registry.unknown", "registry.unwritten"),
        // Watching, describing, manners.
        BadPlugin("waits_without_token", .registry, "watch.empty-token"),
        BadPlugin("restless", .registry, "watch.quiet"),
        BadPlugin("misses_events", .registry, "watch.change", "watch.between"),
        BadPlugin("forgets_token", .registry, "watch.between"),
        BadPlugin("blind_to_absence", .registry, "watch.absence"),
        BadPlugin("blocks_others", .registry, "watch.beside"),
        BadPlugin("bad_describe", .resolver, "status.object"),
        BadPlugin("asks_in_describe", .resolver, "status.prompt"),
        BadPlugin("prints", .resolver, "manners.silent"),
        BadPlugin("handles_signals", .resolver, "manners.signals"),
        BadPlugin("changes_directory", .resolver, "manners.directory"),
        BadPlugin("changes_locale", .resolver, "manners.locale"),
        BadPlugin("changes_environment", .resolver, "manners.environment"),
        BadPlugin("inherits", .resolver, "manners.close-on-exec"),
        BadPlugin("forks", .resolver, "manners.children"),
        BadPlugin("chatty", .resolver, "manners.log"),
        BadPlugin("changes_mask", .resolver, "manners.state", "manners.outside"),
        BadPlugin("lowers_limits", .resolver, "manners.state"),
        BadPlugin("closes_input", .resolver, "manners.state"),
        BadPlugin("blocks_signals", .resolver, "manners.state"),
        BadPlugin("changes_rounding", .resolver, "manners.state"),
        BadPlugin("prints_late", .resolver, "manners.late", "manners.outside"),
        BadPlugin("changes_on_failure", .resolver, "manners.late", "manners.outside"),
        BadPlugin("inherits_late", .resolver, "manners.late"),
        BadPlugin("exit_handler", .resolver, "manners.exit"),
        BadPlugin("aborts_at_exit", .resolver, "manners.exit"),
        BadPlugin("hangs_at_exit", .resolver, "manners.exit"),
        BadPlugin("opens_files", .resolver, "leaks.calls", "leaks.outside"),
        BadPlugin("tells_secret", .resolver, "manners.secrets"),
    ]
}
