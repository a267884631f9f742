import CSpawn
import Glibc
import PluginABI
import PluginSupport

/// One run of a program, in a process group of its own, which ends with the run, or with this process:
/// what the program left behind in it goes too. Its input is empty; the end of what it writes to its standard error becomes
/// part of the error when it fails.
struct ChildRun {
    private static let mostComplaint = 400

    private let command: [String]

    init(_ command: [String]) { self.command = command }

    /// What the program prints, once it has closed its output and ended with status 0.
    /// - Throws: `RQD_UNAVAILABLE` if it can't be run or fails, `RQD_TIMEOUT`, `RQD_CANCELLED`, or
    ///   `RQD_PROTOCOL` if it prints more than `AddressLines.mostBytes`.
    func output(_ call: Call) throws(CallFailure) -> [UInt8] {
        let printed = try OutputPipe()
        let complaint = try OutputPipe()
        let process = try spawn(printed, complaint)
        var output: [UInt8] = []
        var said: [UInt8] = []
        var status: Int32?
        do throws(CallFailure) {
            printed.closeWriting()
            complaint.closeWriting()
            try collect(printed, complaint, call, &output, &said)
            status = try waitForEnd(process, call)
        } catch {
            Self.end(process)
            throw error
        }
        Self.end(process)
        guard let status, status != 0 else { return output }
        throw failure(RQD_UNAVAILABLE, "\(Self.describe(status))\(Self.quote(said))")
    }

    private func failure(_ code: rqd_code, _ text: String) -> CallFailure {
        CallFailure(code, "\(command[0]) \(text)")
    }

    private func interrupted(_ cause: Call.Interruption) -> CallFailure {
        switch cause {
        case .deadline:
            failure(RQD_TIMEOUT, "did not end, or keeps its output open, in time; it was killed")
        case .cancelled: failure(RQD_CANCELLED, "was killed: the host gave the call up")
        }
    }

    private func spawn(
        _ printed: OutputPipe, _ complaint: OutputPipe
    ) throws(CallFailure) -> pid_t {
        var words = command.map { strdup($0) } + [nil]
        defer { for word in words { free(word) } }
        var process: pid_t = 0
        let result = rqd_run(command[0], &words, printed.writing, complaint.writing, &process)
        guard result == 0 else {
            let why = String(cString: strerror(result))
            throw failure(RQD_UNAVAILABLE, "can't be run: \(why)")
        }
        return process
    }

    /// Reads both pipes until the output is at its end.
    private func collect(
        _ printed: OutputPipe, _ complaint: OutputPipe, _ call: Call,
        _ output: inout [UInt8], _ said: inout [UInt8]
    ) throws(CallFailure) {
        var isComplaining = true
        while true {
            var sources = [pollfd(fd: printed.reading, events: Int16(POLLIN), revents: 0)]
            if isComplaining {
                sources.append(pollfd(fd: complaint.reading, events: Int16(POLLIN), revents: 0))
            }
            do throws(Call.Interruption) {
                try call.poll(&sources, milliseconds: nil)
            } catch {
                throw interrupted(error)
            }
            if isComplaining, sources[1].revents != 0 {
                isComplaining = complaint.read(into: &said)
                said = Array(said.suffix(Self.mostComplaint))
            }
            guard sources[0].revents != 0 else { continue }
            let isOpen = printed.read(into: &output)
            guard output.count <= AddressLines.mostBytes else {
                throw failure(
                    RQD_PROTOCOL, "prints more than \(AddressLines.mostBytes) bytes; it was killed")
            }
            guard isOpen else {
                // What was said before is in the pipe already.
                if isComplaining { _ = complaint.read(into: &said) }
                said = Array(said.suffix(Self.mostComplaint))
                return
            }
        }
    }

    /// How it ended: 0, an exit status, or 256 and the number of a signal. It isn't taken yet, so
    /// that its number, and its group's, stay its own.
    private func waitForEnd(_ process: pid_t, _ call: Call) throws(CallFailure) -> Int32 {
        while true {
            var end = siginfo_t()
            let result = waitid(P_PID, id_t(process), &end, WEXITED | WNOWAIT | WNOHANG)
            if result != 0, errno != EINTR {
                throw failure(
                    RQD_UNAVAILABLE, "was lost: \(String(cString: strerror(errno)))")
            }
            if result == 0, end.si_signo == SIGCHLD {
                let status = end._sifields._sigchld.si_status
                return end.si_code == Int32(CLD_EXITED) ? status : 256 + status
            }
            do throws(Call.Interruption) {
                var nothing: [pollfd] = []
                try call.poll(&nothing, milliseconds: 5)
            } catch {
                throw interrupted(error)
            }
        }
    }

    /// Kills what is left of its group, and takes it.
    private static func end(_ process: pid_t) {
        kill(-process, SIGKILL)
        kill(process, SIGKILL)
        while waitpid(process, nil, 0) < 0, errno == EINTR {}
    }

    private static func describe(_ status: Int32) -> String {
        status >= 256 ? "was ended by signal \(status - 256)" : "failed with exit status \(status)"
    }

    private static func quote(_ said: [UInt8]) -> String {
        let text = String(decoding: said, as: UTF8.self).unicodeScalars
            .map { $0.value < 0x20 || $0.value == 0x7F ? " " : String($0) }.joined()
        let words = text.split(separator: " ").joined(separator: " ")
        return words.isEmpty ? "" : ": \(words)"
    }
}
