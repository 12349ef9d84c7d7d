// A doubly linked list whose links live in its elements: O(1) removal from anywhere, no allocation.
// An element leaves its list when it is destroyed; a list leaves its elements behind, unlinked, when it is destroyed.
#pragma once

#include <cstddef>

#include "rota/base/check.h"

namespace rota {

struct ListLink {
  ListLink() = default;
  ListLink(const ListLink&) = delete;
  ListLink& operator=(const ListLink&) = delete;
  ~ListLink() { unlink(); }

  bool linked() const { return next != nullptr; }
  void unlink() {
    if (!linked()) return;
    prev->next = next;
    next->prev = prev;
    prev = next = nullptr;
  }

  ListLink* prev = nullptr;
  ListLink* next = nullptr;
};

// T derives from Link (a type derived from ListLink, so that one T may be in several lists).
template <class T, class Link = ListLink>
class IntrusiveList {
 public:
  IntrusiveList() { head_.prev = head_.next = &head_; }
  IntrusiveList(const IntrusiveList&) = delete;
  IntrusiveList& operator=(const IntrusiveList&) = delete;
  ~IntrusiveList() {
    while (!empty()) head_.next->unlink();
    head_.prev = head_.next = nullptr;
  }

  bool empty() const { return head_.next == &head_; }
  T& front() {
    ROTA_CHECK(!empty());
    return element(head_.next);
  }
  T& back() {
    ROTA_CHECK(!empty());
    return element(head_.prev);
  }
  void push_back(T& item) { insert(*head_.prev, item); }
  void push_front(T& item) { insert(head_, item); }
  // Before the first element, seen from the back, that comes_after(element) is true for: keeps a sorted list sorted.
  template <class ComesAfter>
  void insert_sorted(T& item, ComesAfter comes_after) {
    ListLink* at = head_.prev;
    while (at != &head_ && comes_after(element(at))) at = at->prev;
    insert(*at, item);
  }
  T& pop_front() {
    T& item = front();
    link_of(item).unlink();
    return item;
  }
  static void remove(T& item) { link_of(item).unlink(); }
  static bool contains_in_any(T& item) { return link_of(item).linked(); }

  // Calls visit(T&) for each element; the visitor may remove the element it is given, and no other.
  template <class Visit>
  void for_each(Visit visit) {
    for (ListLink* at = head_.next; at != &head_;) {
      ListLink* next = at->next;
      visit(element(at));
      at = next;
    }
  }

 private:
  static ListLink& link_of(T& item) { return static_cast<Link&>(item); }
  static T& element(ListLink* link) { return static_cast<T&>(static_cast<Link&>(*link)); }
  static void insert(ListLink& after, T& item) {
    ListLink& link = link_of(item);
    ROTA_CHECK(!link.linked());
    link.prev = &after;
    link.next = after.next;
    after.next->prev = &link;
    after.next = &link;
  }

  ListLink head_;
};

}  // namespace rota
