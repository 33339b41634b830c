//! An allocator that keeps what was freed: a training step asks for the same sizes again and again.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::ptr::null_mut;

/// The least block is 16 bytes, the greatest kept 1 MiB; each class doubles the one before.
const CLASSES: usize = 17;
const LEAST: usize = 16;

/// Free lists, one a power of two, over the system's allocator: install it with `#[global_allocator]`.
///
/// In a browser's single thread only; elsewhere it hands everything to the system.
pub struct PoolAllocator {
    pool: Pool,
    exhausted: fn(usize),
}

impl PoolAllocator {
    /// `exhausted` is called with the number of bytes that could not be had, before the program ends for lack of them;
    /// it must not ask for memory.
    pub const fn new(exhausted: fn(usize)) -> Self {
        Self { pool: Pool([const { Cell::new(null_mut()) }; CLASSES]), exhausted }
    }
}

/// Whether only one thread can ever run.
const SINGLE: bool = cfg!(all(target_arch = "wasm32", not(target_feature = "atomics")));

// SAFETY: the lists are touched only where there is a single thread.
unsafe impl Sync for PoolAllocator {}

// SAFETY: both ways keep the contract: blocks come from the system, and a kept one serves only layouts of its class.
unsafe impl GlobalAlloc for PoolAllocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promises are passed on.
        let block = unsafe { if SINGLE { self.pool.take(layout) } else { System.alloc(layout) } };
        if block.is_null() {
            (self.exhausted)(layout.size());
        }
        block
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: the caller's promises are passed on.
        unsafe { if SINGLE { self.pool.keep(block, layout) } else { System.dealloc(block, layout) } }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        let new = Layout::from_size_align(size, layout.align());
        let new = new.expect("the caller promises that the size does not overflow");
        match (class(layout), class(new)) {
            // SAFETY: neither is of a class, so the block is the system's own.
            _ if !SINGLE => unsafe { System.realloc(block, layout, size) },
            (None, None) => unsafe { System.realloc(block, layout, size) },
            (old, new) if old == new => block,
            _ => {
                // SAFETY: the new block is another one, and both hold the lesser size.
                unsafe {
                    let moved = self.alloc(new);
                    if !moved.is_null() {
                        block.copy_to_nonoverlapping(moved, size.min(layout.size()));
                        self.dealloc(block, layout);
                    }
                    moved
                }
            }
        }
    }
}

/// Heads of the lists. A kept block holds the address of the next in its first bytes.
struct Pool([Cell<*mut u8>; CLASSES]);

/// Which list serves this layout, if one does.
fn class(layout: Layout) -> Option<usize> {
    let size = layout.size().max(LEAST).next_power_of_two();
    let class = (size / LEAST).trailing_zeros() as usize;
    (class < CLASSES && layout.align() <= LEAST).then_some(class)
}

impl Pool {
    /// SAFETY: that of `GlobalAlloc::alloc`, and one thread.
    unsafe fn take(&self, layout: Layout) -> *mut u8 {
        let Some(class) = class(layout) else {
            // SAFETY: the caller's promises are passed on.
            return unsafe { System.alloc(layout) };
        };
        let head = self.0[class].get();
        if head.is_null() {
            // SAFETY: the size is not zero, and a power of two is a valid alignment.
            return unsafe { System.alloc(Layout::from_size_align_unchecked(LEAST << class, LEAST)) };
        }
        // SAFETY: a kept block holds the address of the next, and is aligned for one.
        self.0[class].set(unsafe { head.cast::<*mut u8>().read() });
        head
    }

    /// SAFETY: that of `GlobalAlloc::dealloc`, and one thread.
    unsafe fn keep(&self, block: *mut u8, layout: Layout) {
        let Some(class) = class(layout) else {
            // SAFETY: a layout without a class was the system's from the start.
            return unsafe { System.dealloc(block, layout) };
        };
        // SAFETY: the block has at least sixteen bytes, which no one uses any more.
        unsafe { block.cast::<*mut u8>().write(self.0[class].get()) };
        self.0[class].set(block);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_freed_block_is_taken_again_by_a_layout_of_its_class() {
        let pool = Pool([const { Cell::new(null_mut()) }; CLASSES]);
        let layout = |size, align| Layout::from_size_align(size, align).expect("a valid layout");
        // SAFETY: each block is given back with the layout it was taken with, or one of its class.
        unsafe {
            let (a, b) = (pool.take(layout(100, 4)), pool.take(layout(128, 8)));
            assert!(a != b && !a.is_null() && !b.is_null());
            pool.keep(a, layout(100, 4));
            pool.keep(b, layout(128, 8));
            assert_eq!(pool.take(layout(65, 1)), b);
            assert_eq!(pool.take(layout(128, 16)), a);
            let large = pool.take(layout(3 << 20, 8));
            assert!(!large.is_null());
            pool.keep(large, layout(3 << 20, 8));
        }
        assert_eq!(class(layout(0, 1)), Some(0));
        assert_eq!(class(layout(17, 1)), Some(1));
        assert_eq!(class(layout(1 << 20, 1)), Some(CLASSES - 1));
        assert_eq!(class(layout((1 << 20) + 1, 1)), None);
        assert_eq!(class(layout(8, 32)), None);
    }
}
