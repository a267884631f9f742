import CFuzzer
import Glibc
import Threads

/// Feeds `Trial` with requests that a fuzzer makes up.
@main struct FuzzStatements {
    static func main() {
        Driver.start()
    }
}

/// Runs libFuzzer. Not a part of the main type, whose closures belong to the main thread.
enum Driver {
    static func start() {
        // As the daemon's own threads that run SQL.
        do throws(ThreadShortage) {
            try NamedThread("fuzzer", stack: NamedThread.deepStack) { Driver.drive() }.join()
        } catch {
            preconditionFailure("\(error)")
        }
    }

    private static func drive() {
        var arguments: [UnsafeMutablePointer<CChar>?] =
            CommandLine.arguments.map { strdup($0) } + [nil]
        var count = Int32(arguments.count - 1)
        arguments.withUnsafeMutableBufferPointer { buffer in
            var first = buffer.baseAddress
            _ = LLVMFuzzerRunDriver(&count, &first) { Driver.run($0, $1) }
        }
    }

    /// Ends the process, as the fuzzer wants it to report an input.
    static func run(_ data: UnsafePointer<UInt8>?, _ size: Int) -> Int32 {
        let text = String(decoding: UnsafeBufferPointer(start: data, count: size), as: UTF8.self)
        do throws(TrialFailure) {
            try Trial.carryOut(text)
        } catch {
            "\(error)\n".withCString { _ = write(STDERR_FILENO, $0, strlen($0)) }
            abort()
        }
        return 0
    }
}

/// libFuzzer's library holds a main of its own that asks for this; ours is the one that runs.
@c func LLVMFuzzerTestOneInput(_ data: UnsafePointer<UInt8>?, _ size: Int) -> Int32 {
    Driver.run(data, size)
}
