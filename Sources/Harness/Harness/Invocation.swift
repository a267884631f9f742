import Glibc
import HarnessBackends

/// The command line of `disco-harness`.
package struct Invocation: Equatable, Sendable {
    package enum Action: Equatable, Sendable {
        case judge
        case list
        case help
    }

    package var action = Action.judge
    package var plugin = ""
    package var mode: String?
    /// Text, or a file's path, by the host's rule.
    package var config: String?
    package var backend: String?
    package var manifest: String?
    package var only: [String] = []
    package var isIsolated = false
    package var isStrict = false
    package var keepsGoing = false
    package var json: String?
    package var junit: String?
    package var seed: UInt64 = 1
    package var jobs: Int
    package var slowness = 1
    package var wrapper: [String] = []

    package static let usage = """
        disco-harness judges a discovery plugin for rqlited, alone, without a daemon.

            disco-harness PLUGIN [OPTION]...

            --mode M          the mode to judge, where the plugin has several
            --config C        the configuration for calls: JSON, or the path of a file; instead of
                              the manifest's
            --manifest FILE   what the harness must know of the plugin; default: beside the plugin,
                              NAME.harness.json for libNAME.so
            --backend URL     a real server, instead of the fake one that the manifest names; what
                              misbehaves is a TCP proxy before it
            --only NAME       only this check, or this group of checks; may be given several times
            --isolation[=process]
                              the plugin runs in a process of its own, as under
                              -disco-isolation=process
            --strict          a check of time, faults, leaks, watching or manners that can't be made
                              counts as failed
            --keep-going      goes on although calls don't come back (default: ends after 3 checks)
            --json FILE       results as JSON; - for standard output
            --junit FILE      results as JUnit's XML
            --seed N          for what is chosen by chance (default 1)
            --jobs N          checks at one time (default: twice the processors)
            --slow N          multiplies time limits, for slow machines and tools (default 1)
            --under COMMAND   runs each check under a command, as "valgrind -q --error-exitcode=9"
            --list            lists the checks, as the table in docs/harness.md
            --help

        Exit code: 0 if no check failed or crashed, 1 if one did, 2 for a wrong command line.
        """

    package init(_ arguments: [String]) throws(InvocationError) {
        jobs = max(2 * Int(sysconf(Int32(_SC_NPROCESSORS_ONLN))), 2)
        var rest = arguments[...]
        func value(_ option: String) throws(InvocationError) -> String {
            guard let value = rest.popFirst() else {
                throw InvocationError("\(option) needs a value")
            }
            return value
        }
        while let argument = rest.popFirst() {
            switch argument {
            case "--help", "-h": action = .help
            case "--list": action = .list
            case "--isolation", "--isolation=process": isIsolated = true
            case "--isolation=none": isIsolated = false
            case "--strict": isStrict = true
            case "--keep-going": keepsGoing = true
            case "--mode": mode = try value(argument)
            case "--config": config = try value(argument)
            case "--manifest": manifest = try value(argument)
            case "--backend": backend = try value(argument)
            case "--only": only.append(try value(argument))
            case "--json": json = try value(argument)
            case "--junit": junit = try value(argument)
            case "--under":
                wrapper = try value(argument).split(separator: " ").map(String.init)
            case "--seed": seed = try Self.number(argument, value(argument), 0...UInt64.max)
            case "--jobs": jobs = Int(try Self.number(argument, value(argument), 1...256))
            case "--slow": slowness = Int(try Self.number(argument, value(argument), 1...1000))
            default:
                guard !argument.hasPrefix("-"), plugin.isEmpty else {
                    throw InvocationError(
                        argument.hasPrefix("-")
                            ? "there is no option \(argument)"
                            : "one plugin at a time: \(plugin) or \(argument)")
                }
                plugin = argument
            }
        }
        guard action != .judge || !plugin.isEmpty else { throw InvocationError("no plugin named") }
        let strangers = only.filter { CheckCatalog.select([$0]).isEmpty }
        guard strangers.isEmpty else {
            throw InvocationError("there is no check \(strangers[0]); --list lists them")
        }
    }

    private static func number(
        _ option: String, _ text: String, _ range: ClosedRange<UInt64>
    ) throws(InvocationError) -> UInt64 {
        guard let number = UInt64(text), range.contains(number) else {
            throw InvocationError(
                "\(option) must be a number from \(range.lowerBound) to \(range.upperBound)")
        }
        return number
    }
}

/// What is wrong with a command line, or with what it names.
package struct InvocationError: Error, CustomStringConvertible {
    package let description: String

    init(_ description: String) { self.description = description }
}
