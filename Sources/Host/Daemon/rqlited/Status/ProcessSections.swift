import Glibc
import JSON
import Settings
import Telemetry

/// The sections of `/status` that describe the program, its process and its host.
struct ProcessSections: Sendable {
    let startTime: WallTime
    let start: ContinuousClock.Instant
    let descriptors: DescriptorLimit

    init(descriptors: DescriptorLimit) {
        self.descriptors = descriptors
        startTime = .now()
        start = .now
    }

    func build() -> JSONValue {
        .object([
            .init("build_time", "unknown"),
            .init("commit", .string(Build.commit)),
            .init("compiler_command", .string(Build.compiler)),
            .init("compiler_toolchain", .string(Build.toolchain)),
            .init("version", .string(Build.version)),
        ])
    }

    func node() -> JSONValue {
        let uptime = ContinuousClock.now - start
        return .object([
            .init("current_time", .string(WallTime.now().rfc3339)),
            .init("start_time", .string(startTime.rfc3339)),
            .init("uptime", .string(uptime.goText)),
        ])
    }

    func os() -> JSONValue {
        var members: [JSONValue.Member] = []
        if let path = Self.executablePath { members.append(.init("executable", .string(path))) }
        if let name = hostname { members.append(.init("hostname", .string(name))) }
        members += [
            .init("descriptors", descriptors.document()),
            .init("page_size", .integer(sysconf(Int32(_SC_PAGESIZE)))),
            .init("pid", .integer(getpid())),
            .init("ppid", .integer(getppid())),
        ]
        return .object(members)
    }

    func runtime() -> JSONValue {
        let processors = sysconf(Int32(_SC_NPROCESSORS_ONLN))
        return .object([
            .init("GOARCH", .string(Build.architecture)),
            .init("GOMAXPROCS", .integer(processors)),
            .init("GOOS", .string(Build.operatingSystem)),
            .init("kubernetes_hint", .bool(getenv("KUBERNETES_SERVICE_HOST") != nil)),
            .init("num_cpu", .integer(processors)),
            .init("num_goroutine", .integer(threads)),
            .init("version", .string(Build.toolchain)),
        ])
    }

    /// Of the process: what is nearest to a goroutine.
    private var threads: Int {
        guard let directory = opendir("/proc/self/task") else { return 0 }
        defer { closedir(directory) }
        var count = 0
        while readdir(directory) != nil { count += 1 }
        // Not `.` and `..`.
        return max(0, count - 2)
    }

    static var executablePath: String? {
        var buffer = [CChar](repeating: 0, count: Int(PATH_MAX))
        let count = readlink("/proc/self/exe", &buffer, buffer.count - 1)
        guard count > 0 else { return nil }
        return String(decoding: buffer[..<count].map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    private var hostname: String? {
        var buffer = [CChar](repeating: 0, count: 256)
        guard gethostname(&buffer, buffer.count - 1) == 0 else { return nil }
        return buffer.withUnsafeBufferPointer { $0.baseAddress.map { String(cString: $0) } }
    }
}
