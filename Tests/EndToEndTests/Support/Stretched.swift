import Foundation

/// A duration as a machine keeps it that has other things to do: on one where processors are idle
/// it stays what it is, and a starved one gets more the more there wait for a processor. What is
/// promised about a time is measured on a quiet machine; on any other only its order is.
func stretched(_ duration: Duration) -> Duration { duration * Starvation.factor }

/// How much longer than on a quiet machine everything may take.
enum Starvation {
    /// 1 while the processes that want to run have processors to run on, else as many times as
    /// large as there are processes for each of them, and twice that, for they wait in turn.
    static var factor: Int {
        guard let line = try? String(contentsOfFile: "/proc/loadavg", encoding: .utf8) else {
            return 4
        }
        return factor(loadAverage: line, processors: ProcessInfo.processInfo.activeProcessorCount)
    }

    /// - Parameter line: of /proc/loadavg: averages over 1, 5 and 15 minutes, and how many run now.
    static func factor(loadAverage line: String, processors: Int) -> Int {
        let words = line.split(separator: " ")
        guard words.count > 3, let average = Double(words[0]),
            let running = words[3].split(separator: "/").first.flatMap({ Double($0) })
        else { return 4 }
        let waiting = max(average, running) / Double(max(1, processors))
        return waiting <= 1 ? 1 : 2 * Int(waiting.rounded(.up))
    }
}
