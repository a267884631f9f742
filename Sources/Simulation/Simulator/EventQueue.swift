/// The simulated clock: events in the order of their times, and of their scheduling among equals.
package struct EventQueue<Event> {
    /// What the heap moves around is small; the event stays at its place.
    private struct Item {
        var time: Int
        var order: Int
        var place: Int

        func isBefore(_ other: Item) -> Bool {
            time != other.time ? time < other.time : order < other.order
        }
    }

    /// A binary heap.
    private var items: [Item] = []
    private var events: [Event?] = []
    private var freePlaces: [Int] = []
    private var scheduled = 0

    package init() {}

    /// Of the earliest event; nil if none is scheduled.
    package var nextTime: Int? { items.first?.time }

    /// Whether all that is scheduled, in no order of time, is such as asked.
    package func allSatisfy(_ isSuch: (Event) -> Bool) -> Bool {
        events.allSatisfy { $0.map(isSuch) ?? true }
    }

    /// - Parameter time: in the simulation's unit; an earlier one than the last event's is taken as
    /// it is.
    package mutating func schedule(_ event: Event, at time: Int) {
        let place: Int
        if let free = freePlaces.popLast() {
            place = free
            events[place] = event
        } else {
            place = events.count
            events.append(event)
        }
        items.append(Item(time: time, order: scheduled, place: place))
        scheduled += 1
        rise()
    }

    /// Takes the earliest out; nil if none is scheduled.
    package mutating func next() -> (time: Int, event: Event)? {
        guard let first = items.first, let event = events[first.place] else { return nil }
        events[first.place] = nil
        freePlaces.append(first.place)
        let last = items.removeLast()
        if !items.isEmpty {
            items[0] = last
            sink()
        }
        return (first.time, event)
    }

    private mutating func rise() {
        var place = items.count - 1
        let item = items[place]
        while place > 0 {
            let parent = (place - 1) / 2
            guard item.isBefore(items[parent]) else { break }
            items[place] = items[parent]
            place = parent
        }
        items[place] = item
    }

    private mutating func sink() {
        var place = 0
        let item = items[place]
        while 2 * place + 1 < items.count {
            var child = 2 * place + 1
            if child + 1 < items.count, items[child + 1].isBefore(items[child]) { child += 1 }
            guard items[child].isBefore(item) else { break }
            items[place] = items[child]
            place = child
        }
        items[place] = item
    }
}
