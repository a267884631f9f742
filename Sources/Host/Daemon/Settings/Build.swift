import CBuild

/// What this executable is. `scripts/dist` reads the version from this file.
package enum Build {
    /// With `v` in front, as rqlite writes its own; scripts/lib/system.sh reads it from this line.
    package static let version = "v0.1.0"
    /// The commit that was built, as scripts/lib/system.sh says it; "unknown" if nobody said.
    package static let commit = String(cString: rqlited_commit())
    /// As Go names it.
    package static let operatingSystem = "linux"
    /// In the place of Go's.
    package static let compiler = "swiftc"

    /// Named as rqlite's users know them.
    package static var architecture: String {
        #if arch(x86_64)
            "amd64"
        #elseif arch(arm64)
            "arm64"
        #else
            "unknown"
        #endif
    }

    /// The newest version of Swift that it is known to be built with or after.
    package static var toolchain: String {
        #if compiler(>=6.4)
            "swift6.4+"
        #elseif compiler(>=6.3)
            "swift6.3"
        #else
            "swift6.2"
        #endif
    }

    /// The line `-version` prints; SQLite's version is only known at run time.
    package static func versionLine(sqlite: String) -> String {
        "rqlited \(version) \(operatingSystem) \(architecture) \(toolchain) sqlite\(sqlite) "
            + "(commit \(commit), compiler \(compiler))"
    }
}
