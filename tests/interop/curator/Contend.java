import java.io.IOException;
import java.util.concurrent.ThreadLocalRandom;
import java.util.concurrent.atomic.AtomicBoolean;
import org.apache.curator.framework.CuratorFramework;
import org.apache.curator.framework.CuratorFrameworkFactory;
import org.apache.curator.framework.recipes.locks.InterProcessMutex;
import org.apache.curator.retry.ExponentialBackoffRetry;

/**
 * Contends with Curator's lock until its input ends: {@code Contend ADDRESS PATH}.
 *
 * <p>Says when it held: {@code @ held FROM UNTIL}, in nanoseconds of CLOCK_MONOTONIC, which is what {@link
 * System#nanoTime} reads on Linux.
 */
public final class Contend {
    private Contend() {}

    public static void main(String[] args) throws Exception {
        AtomicBoolean stop = new AtomicBoolean();
        Thread input = new Thread(() -> {
            try {
                while (System.in.read() >= 0) {}
            } catch (IOException e) {
                // As good as its end.
            }
            stop.set(true);
        });
        input.setDaemon(true);
        input.start();
        try (CuratorFramework client =
                CuratorFrameworkFactory.newClient(args[0], 10_000, 10_000, new ExponentialBackoffRetry(100, 5))) {
            client.start();
            InterProcessMutex mutex = new InterProcessMutex(client, args[1]);
            while (!stop.get()) {
                mutex.acquire();
                long from = System.nanoTime();
                Thread.sleep(ThreadLocalRandom.current().nextInt(1, 6));
                long until = System.nanoTime();
                mutex.release();
                System.out.println("@ held " + from + " " + until);
            }
        }
        System.out.println("@ done");
    }
}
