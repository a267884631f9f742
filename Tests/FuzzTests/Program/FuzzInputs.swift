import CFuzzer
import Glibc

/// `fuzz-inputs`: feeds a target with inputs that libFuzzer makes up.
///
///     fuzz-inputs list
///     fuzz-inputs seeds DIRECTORY         writes every target's seeds into a folder of its name, but those that are there
///     fuzz-inputs TARGET [option of libFuzzer | file | folder]...
///
/// An input of which something is complained ends the process, as libFuzzer wants it.
@main struct FuzzInputs {
    static func main() {
        let arguments = Array(CommandLine.arguments.dropFirst())
        if arguments == ["list"] {
            for target in FuzzTarget.all { print(target.name) }
        } else if arguments.first == "seeds", arguments.count == 2 {
            exit(FuzzDriver.writeSeeds(to: arguments[1]) ? 0 : 1)
        } else if FuzzDriver.target != nil {
            FuzzDriver.run()
        } else {
            print("usage: fuzz-inputs list | seeds DIRECTORY | TARGET [option of libFuzzer]...")
            exit(2)
        }
    }
}

/// Not a part of the main type, whose closures belong to the main thread.
enum FuzzDriver {
    static let target = CommandLine.arguments.dropFirst().first.flatMap { FuzzTarget.named($0) }

    static func run() {
        var words = CommandLine.arguments
        words.remove(at: 1)
        if let target { words.append("-max_len=\(target.largestInput)") }
        var arguments: [UnsafeMutablePointer<CChar>?] = words.map { strdup($0) } + [nil]
        var count = Int32(words.count)
        arguments.withUnsafeMutableBufferPointer { buffer in
            var first = buffer.baseAddress
            _ = LLVMFuzzerRunDriver(&count, &first) { FuzzDriver.play($0, $1) }
        }
    }

    static func play(_ data: UnsafePointer<UInt8>?, _ size: Int) -> Int32 {
        do throws(Complaint) {
            try target?.play(Array(UnsafeBufferPointer(start: data, count: size)))
        } catch {
            "complaint: \(error)\n".withCString { _ = write(STDERR_FILENO, $0, strlen($0)) }
            abort()
        }
        return 0
    }

    static func writeSeeds(to directory: String) -> Bool {
        for target in FuzzTarget.all {
            mkdir("\(directory)/\(target.name)", 0o755)
            for seed in target.seeds() {
                let path = "\(directory)/\(target.name)/\(seed.name)"
                // One that is there may be what an earlier version wrote.
                guard let file = fopen(path, "wx") else {
                    if errno == EEXIST { continue }
                    perror(path)
                    return false
                }
                fwrite(seed.bytes, 1, seed.bytes.count, file)
                fclose(file)
            }
        }
        return true
    }
}

/// libFuzzer's library holds a main of its own that asks for this; ours is the one that runs.
@c func LLVMFuzzerTestOneInput(_ data: UnsafePointer<UInt8>?, _ size: Int) -> Int32 {
    FuzzDriver.play(data, size)
}
