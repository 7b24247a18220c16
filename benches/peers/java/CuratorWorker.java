import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Scanner;
import java.util.concurrent.Semaphore;
import org.apache.curator.framework.CuratorFramework;
import org.apache.curator.framework.CuratorFrameworkFactory;
import org.apache.curator.framework.recipes.leader.LeaderSelector;
import org.apache.curator.framework.recipes.leader.LeaderSelectorListenerAdapter;
import org.apache.curator.framework.recipes.locks.InterProcessMutex;
import org.apache.curator.retry.ExponentialBackoffRetry;

/** Measures Curator's lock and election: {@code CuratorWorker ADDRESS}. A thread for each worker. */
public final class CuratorWorker {
    private static final int PATHS = 64;
    private static final int SESSIONS = 16;
    private static String address;

    private interface Work {
        void run() throws Exception;
    }

    private CuratorWorker() {}

    private static CuratorFramework connect(String path) throws Exception {
        CuratorFramework client =
                CuratorFrameworkFactory.newClient(address, 30_000, 30_000, new ExponentialBackoffRetry(100, 5));
        client.start();
        client.blockUntilConnected();
        client.createContainers(path);
        return client;
    }

    private static Thread start(Work work) {
        Thread thread = new Thread(() -> {
            try {
                work.run();
            } catch (Exception e) {
                e.printStackTrace();
                System.exit(1);
            }
        });
        thread.start();
        return thread;
    }

    private static void cycles(CuratorFramework client, String path, int count) throws Exception {
        InterProcessMutex lock = new InterProcessMutex(client, path);
        for (int i = 0; i < count; i++) {
            lock.acquire();
            lock.release();
        }
    }

    private static double seconds(long since) {
        return (System.nanoTime() - since) / 1e9;
    }

    private static void answer(int cycles, double seconds, List<Long> each) {
        String median = "null";
        if (each != null) {
            Collections.sort(each);
            median = String.valueOf(each.get(each.size() / 2) / 1e3);
        }
        System.out.println(
                "{\"cycles\": " + cycles + ", \"seconds\": " + seconds + ", \"median_us\": " + median + "}");
    }

    private static void alone(String path, int count) throws Exception {
        try (CuratorFramework client = connect(path)) {
            InterProcessMutex lock = new InterProcessMutex(client, path);
            List<Long> each = new ArrayList<>();
            long begin = System.nanoTime();
            for (int i = 0; i < count; i++) {
                long since = System.nanoTime();
                lock.acquire();
                lock.release();
                each.add(System.nanoTime() - since);
            }
            answer(count, seconds(begin), each);
        }
    }

    private static void paths(String path, int count) throws Exception {
        try (CuratorFramework client = connect(path)) {
            long begin = System.nanoTime();
            List<Thread> threads = new ArrayList<>();
            for (int i = 0; i < PATHS; i++) {
                String at = path + "/" + i;
                threads.add(start(() -> cycles(client, at, count)));
            }
            for (Thread thread : threads) thread.join();
            answer(PATHS * count, seconds(begin), null);
        }
    }

    private static void handoff(String path, int count) throws Exception {
        List<CuratorFramework> clients = new ArrayList<>();
        for (int i = 0; i < SESSIONS; i++) clients.add(connect(path));
        long begin = System.nanoTime();
        List<Thread> threads = new ArrayList<>();
        for (CuratorFramework client : clients) threads.add(start(() -> cycles(client, path, count)));
        for (Thread thread : threads) thread.join();
        answer(SESSIONS * count, seconds(begin), null);
        for (CuratorFramework client : clients) client.close();
    }

    private static void drain(String path, int count) throws Exception {
        try (CuratorFramework client = connect(path)) {
            InterProcessMutex first = new InterProcessMutex(client, path);
            first.acquire();
            List<Thread> threads = new ArrayList<>();
            for (int i = 0; i < count; i++) threads.add(start(() -> cycles(client, path, 1)));
            while (client.getChildren().forPath(path).size() <= count) Thread.sleep(50);
            // So that the last ones watch, too.
            Thread.sleep(500);
            long begin = System.nanoTime();
            first.release();
            for (Thread thread : threads) thread.join();
            answer(count, seconds(begin), null);
        }
    }

    /** Two candidates lead in turn; a fail-over counts from when the leader is told to give up. */
    private static void election(String path, int count) throws Exception {
        Semaphore leads = new Semaphore(0);
        Semaphore resign = new Semaphore(0);
        long[] since = new long[1];
        List<CuratorFramework> clients = new ArrayList<>();
        List<LeaderSelector> candidates = new ArrayList<>();
        for (int i = 0; i < 2; i++) {
            CuratorFramework client = connect(path);
            clients.add(client);
            LeaderSelector candidate = new LeaderSelector(client, path, new LeaderSelectorListenerAdapter() {
                @Override
                public void takeLeadership(CuratorFramework framework) throws Exception {
                    since[0] = System.nanoTime();
                    leads.release();
                    resign.acquire();
                }
            });
            candidate.autoRequeue();
            candidate.start();
            candidates.add(candidate);
        }
        leads.acquire();
        List<Long> each = new ArrayList<>();
        long begin = System.nanoTime();
        for (int i = 0; i < count; i++) {
            // The other candidate stands ready by now.
            Thread.sleep(20);
            long told = System.nanoTime();
            resign.release();
            leads.acquire();
            each.add(since[0] - told);
        }
        answer(count, seconds(begin), each);
        for (LeaderSelector candidate : candidates) candidate.close();
        for (CuratorFramework client : clients) client.close();
    }

    public static void main(String[] args) throws Exception {
        address = args[0];
        Scanner in = new Scanner(System.in);
        while (in.hasNextLine()) {
            String[] words = in.nextLine().split(" ");
            int count = Integer.parseInt(words[2]);
            switch (words[0]) {
                case "alone" -> alone(words[1], count);
                case "paths" -> paths(words[1], count);
                case "handoff" -> handoff(words[1], count);
                case "drain" -> drain(words[1], count);
                case "election" -> election(words[1], count);
                default -> throw new IllegalArgumentException("no row " + words[0]);
            }
        }
        System.exit(0);
    }
}
