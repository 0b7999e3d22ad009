"""Python's heapq: MicroPython's compares with its own True, and what comes out of an array gives a `bool_`."""

from small_language import OPERATE, ordered

less = OPERATE["<"]


def heappush(heap, item):
    heap.append(item)
    k = len(heap) - 1
    while k and less(heap[k], heap[(k - 1) // 2]):
        heap[k], heap[(k - 1) // 2] = heap[(k - 1) // 2], heap[k]
        k = (k - 1) // 2


def _sink(heap, k):
    while 2 * k + 1 < len(heap):
        child = 2 * k + 1
        if child + 1 < len(heap) and less(heap[child + 1], heap[child]):
            child += 1
        if not less(heap[child], heap[k]):
            return
        heap[k], heap[child] = heap[child], heap[k]
        k = child


def heappop(heap):
    last = heap.pop()
    return heapreplace(heap, last) if heap else last


def heapreplace(heap, item):
    first, heap[0] = heap[0], item
    _sink(heap, 0)
    return first


def heappushpop(heap, item):
    return heapreplace(heap, item) if heap and less(heap[0], item) else item


def heapify(x):
    for k in reversed(range(len(x) // 2)):
        _sink(x, k)


def nlargest(n, iterable, key=None):
    return ordered(iterable, key=key, reverse=True)[:max(n, 0)]


def nsmallest(n, iterable, key=None):
    return ordered(iterable, key=key)[:max(n, 0)]
