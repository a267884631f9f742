/// A binary heap of events by time; equal times come out in the order they went in.
struct EventQueue<Event> {
    /// Time and place among `events`.
    private var heap: [(time: Int, order: Int)] = []
    private var events: [Event?] = []

    mutating func push(_ event: Event, at time: Int) {
        heap.append((time, events.count))
        events.append(event)
        var child = heap.count - 1
        while child > 0 {
            let parent = (child - 1) / 2
            guard heap[child] < heap[parent] else { return }
            heap.swapAt(child, parent)
            child = parent
        }
    }

    mutating func pop() -> (time: Int, event: Event)? {
        guard let first = heap.first, let last = heap.popLast() else { return nil }
        guard let event = events[first.order] else { return nil }
        events[first.order] = nil
        guard !heap.isEmpty else { return (first.time, event) }
        heap[0] = last
        var parent = 0
        while true {
            var least = parent
            let child = 2 * parent + 1
            if child < heap.count, heap[child] < heap[least] { least = child }
            if child + 1 < heap.count, heap[child + 1] < heap[least] { least = child + 1 }
            guard least != parent else { return (first.time, event) }
            heap.swapAt(least, parent)
            parent = least
        }
    }
}
